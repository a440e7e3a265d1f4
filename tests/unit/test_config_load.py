"""The generic loader: every error at once, each with its line and column."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from evapd.config import load_checked
from evapd.config.document import Scalar, compose
from evapd.config.scalar import value_of
from evapd.units import Volt


class Layer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    mm_per_ns: Annotated[float, Field(gt=0, le=2)]
    window: tuple[float, float] = (0.0, 1.0)


class Sheet(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    v_max_v: Annotated[Volt, Field(gt=0, le=100)] = 1.0
    fraction: float = 0.0
    count: int = 0
    attended: bool = True
    text: str = ""
    elements: tuple[str, ...] = ()
    layers: dict[str, Layer] = Field(default_factory=dict)
    extra: Any = None


def load(folder: Path, text: str | bytes) -> tuple[Sheet | None, list[str]]:
    """Give the sheet and its problems, without the name of the file."""
    path = folder / "sheet.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    sheet, problems = load_checked(path, Sheet)
    return sheet, [str(problem).removeprefix(f"{path}:") for problem in problems]


@pytest.mark.parametrize(("line", "key", "value"), [
    ("fraction: 1e-5", "fraction", 1e-5), ("fraction: 1E5", "fraction", 1e5), ("fraction: .5", "fraction", 0.5),
    ("fraction: 010", "fraction", 10.0), ("count: 010", "count", 10), ("count: 3.0", "count", 3),
    ("v_max_v: 50", "v_max_v", 50.0), ("v_max_v: 0.05 kV", "v_max_v", 50.0),
    ("attended: on", "attended", True), ("attended: No", "attended", False), ("attended: false", "attended", False),
    ("elements: [No, Y, N, on]", "elements", ("No", "Y", "N", "on")), ("text: 2024-01-01", "text", "2024-01-01"),
    ("text: '5'", "text", "5"), ("text: 1:30", "text", "1:30"), ("extra: ~", "extra", None), ("extra: true", "extra", True),
    ("elements: &e [Al]\nextra: *e", "extra", ["Al"]),
])  # fmt: skip
def test_values_are_read_without_the_traps_of_yaml(
    tmp_path: Path, line: str, key: str, value: object
) -> None:
    sheet, problems = load(tmp_path, line + "\n")
    assert (problems, getattr(sheet, key)) == ([], value)


@pytest.mark.parametrize(("text", "wanted"), [
    ("fractoin: 1\n", "1:1: fractoin: unknown key, did you mean 'fraction'? allowed are v_max_v, fraction"),
    ("count: 1\ncount: 2\n", "2:1: count: duplicate key, first given on line 1"),
    ("layers:\n  x: {mm_per_ns: 1, mm_per_ns: 2}\n", "2:21: layers.x.mm_per_ns: duplicate key"),
    ("count: abc\n", "1:8: count: abc is not allowed here, wanted is a whole number"),
    ("count: 2.5\n", "1:8: count: 2.5 is not allowed here, wanted is a whole number"),
    ("count:\n", "1:7: count: an empty value is not allowed here"),
    ("count: [1]\n", "1:1: count: a list is not allowed here"),
    ("text: 5\n", "1:7: text: 5 is not a text, write it in quotes"),
    ("v_max_v: 5 A\n", "1:10: v_max_v: wrong unit 'A', allowed are V, mV, kV"),
    ("v_max_v: 5 kV\n", "1:10: v_max_v: 5 kV is out of range, allowed is more than 0, at most 100"),
    ("v_max_v: -1\n", "1:10: v_max_v: -1 is out of range, allowed is more than 0, at most 100"),
    ("v_max_v: yes\n", "1:10: v_max_v: 'yes' is not a number"),
    ("v_max_v: true\n", "1:10: v_max_v: true is not a number, wanted is a number or a quantity"),
    ("fraction: true\n", "1:11: fraction: true is not a number, wanted is a number"),
    ("fraction: .nan\n", "1:11: fraction: .nan is not a finite number"),
    ("fraction: -.inf\n", "1:11: fraction: -.inf is not a finite number"),
    ("fraction: nan\n", "1:11: fraction: nan is not a finite number"),
    ("fraction: 1e999\n", "1:11: fraction: 1e999 is not a finite number"),
    ("fraction: " + "9" * 400, "1:11: fraction: 99999"),
    ("attended: maybe\n", "1:11: attended: maybe is not allowed here, wanted is true or false"),
    ("layers:\n  x:\n    window: [0, 1]\n", "2:3: layers.x.mm_per_ns: missing, wanted is a number (more than 0"),
    ("layers: {x: {mm_per_ns: 1, window: [0, nan]}}\n", "1:40: layers.x.window[1]: nan is not a finite number"),
    ("layers: {x: {mm_per_ns: 1, window: [0]}}\n", "1:28: layers.x.window[1]: missing"),
    ("- 1\n", "1:1: a list is not allowed here"), ("hello\n", "1:1: hello is not allowed here"),
])  # fmt: skip
def test_a_wrong_value_is_named_with_its_place_and_what_is_allowed(
    tmp_path: Path, text: str, wanted: str
) -> None:
    sheet, problems = load(tmp_path, text)
    assert sheet is None
    assert [problem.strip()[: len(wanted)] for problem in problems] == [wanted]


@pytest.mark.parametrize(("text", "wanted"), [
    ("", "1:1: the file is empty"), ("# nothing\n", "1:1: the file is empty"), ("~\n", "1:1: ~ is not allowed here"),
    ("a:\n\tb: 1\n", "2:1: a tab where YAML wants spaces"), ("count:\t1\nlayers:\n \tx: 1\n", "3:2: a tab where"),
    ("count: [1,\n", "2:1: not valid YAML"), ("text: 'x\n", "2:1: not valid YAML"), ("a: b: c\n", "1:5: not valid YAML"),
    ("text: \x00\n", "1:7: the character U+0000 is not allowed"), ("ü: \x1b[2J", "1:4: the character U+001B"),
    (b"text: \xff\n", "1:7: byte 0xFF is not UTF-8"), (b"a: 1\nb: \xc3\xa4\xe4", "2:5: byte 0xE4 is not UTF-8"),
    ("text: !!python/object/apply:os.system x\n", "1:7: text: the tag 'tag:yaml.org,2002:python/object/apply"),
    ("count: !!float 1\n", "1:8: count: the tag"), ("count: 1\n---\ncount: 2\n", "2:1: a second document"),
    ("count: *a\n", "1:8: count: the alias '*a' is not defined above"),
    ("extra: &a [*a]\n", "1:12: extra[0]: the alias '*a' contains itself"),
    ("? [a]\n: 1\n", "1:3: a list or mapping as a key"),
    ("extra: " + "[" * 100 + "]" * 100, "1:39: extra[0]"), ("extra: " + "[" * 900_000, "1:39: extra[0]"),
    ("x" * 1_000_001, " larger than 1000000 bytes"),
])  # fmt: skip
def test_a_text_that_is_not_plain_yaml_says_where(tmp_path: Path, text: str | bytes, wanted: str) -> None:
    sheet, problems = load(tmp_path, text)
    assert sheet is None
    assert problems[0].startswith(wanted)


def test_aliases_that_multiply_are_refused_and_cost_nothing(tmp_path: Path) -> None:
    lines = ["extra:", "  - &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"  - &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    _, problems = load(tmp_path, "\n".join(lines))
    assert "too many values" in problems[0]


def test_all_errors_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    _, problems = load(tmp_path, "count: x\nfoo: 1\nlayers: {x: {}, y: {mm_per_ns: 9}}\ntext: [a]\ntext: b\n")
    places = [problem.split(": ")[0:2] for problem in problems]
    assert places == [
        ["1:8", "count"], ["2:1", "foo"], ["3:10", "layers.x.mm_per_ns"], ["3:32", "layers.y.mm_per_ns"],
        ["4:1", "text"], ["5:1", "text"],
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["missing.yaml", ".", "nul\0"])
def test_a_file_that_cannot_be_read_is_a_problem_of_the_file(tmp_path: Path, name: str) -> None:
    sheet, problems = load_checked(tmp_path / name, Sheet)
    assert sheet is None
    assert str(problems[0]).startswith(f"{tmp_path / name}: ")


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    assert load(tmp_path, b"\xef\xbb\xbfcount: 3\n")[1] == []


@given(st.text(max_size=200) | st.text(alphabet="ab:-[]{}&*!'\"\n \t#,?|>%1.e", max_size=60))
def test_any_text_gives_a_tree_or_a_problem_inside_the_file(text: str) -> None:
    root, problems = compose(text, "f")
    assert root is not None or problems
    assert all(1 <= problem.line <= text.count("\n") + 2 and problem.column >= 1 for problem in problems)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["{!r}", "{:e}", "{:.17g}"]))
def test_every_number_that_a_program_writes_is_read_as_that_number(value: float, form: str) -> None:
    root, _ = compose(form.format(value), "f")
    assert isinstance(root, Scalar)
    assert float(value_of(root)) == float(form.format(value))
