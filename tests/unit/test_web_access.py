"""Who may look at the page, and what that one may do."""

from pathlib import Path

import pytest

from evapd.errors import ConfigError
from evapd.security.roles import Role
from evapd.web.access import Access, Refusal, Viewer, token_of
from evapd.web.tokens import Tokens, new_token

HERE = {"host": "127.0.0.1:17606"}


def local(role: Role = Role.OPERATE, tokens: Tokens | None = None, hosts: tuple[str, ...] = ()) -> Access:
    return Access("127.0.0.1:17606", tokens, hosts, role)


@pytest.mark.parametrize("host", ["127.0.0.1:17606", "localhost:17606", "[::1]:17606", "LOCALHOST:17606"])
def test_a_program_on_the_machine_has_the_local_role(host: str) -> None:
    assert local().judge({"host": host}, "127.0.0.1", "") == Viewer("local", Role.OPERATE)
    assert local(Role.READ).judge({"host": host}, "::1", "") == Viewer("local", Role.READ)


@pytest.mark.parametrize(
    "host", ["evil.example:17606", "127.0.0.1", "127.0.0.1:80", "", "127.0.0.1:17606.evil.example"]
)
def test_a_name_that_is_not_ours_is_refused_as_after_dns_rebinding(host: str) -> None:
    assert isinstance(local().judge({"host": host}, "127.0.0.1", ""), Refusal)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "http://127.0.0.1:8000",
        "http://localhost:17606.evil.example",
        "file://",
    ],
)
def test_a_page_of_another_site_is_refused(origin: str) -> None:
    found = local().judge({**HERE, "origin": origin}, "127.0.0.1", "")
    assert isinstance(found, Refusal)
    assert found.status == 403


def test_our_own_page_is_let_in() -> None:
    assert isinstance(local().judge({**HERE, "origin": "http://127.0.0.1:17606"}, "127.0.0.1", ""), Viewer)


def test_what_a_browser_marks_as_cross_site_is_refused() -> None:
    assert isinstance(local().judge({**HERE, "sec-fetch-site": "cross-site"}, "127.0.0.1", ""), Refusal)
    assert isinstance(local().judge({**HERE, "sec-fetch-site": "same-origin"}, "127.0.0.1", ""), Viewer)


@pytest.mark.parametrize("name", ["forwarded", "x-forwarded-for", "via", "x-real-ip"])
def test_a_reverse_proxy_does_not_lend_its_own_place_to_others(name: str) -> None:
    found = local().judge({**HERE, name: "203.0.113.9"}, "127.0.0.1", "")
    assert isinstance(found, Refusal)
    assert found.status == 401


def test_another_machine_needs_a_token_and_has_its_role(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    access = local(tokens=Tokens(path), hosts=("probe.lab.example",))
    outside = {"host": "probe.lab.example", "x-forwarded-for": "203.0.113.9"}
    assert isinstance(access.judge(outside, "127.0.0.1", ""), Refusal)
    assert isinstance(access.judge(outside, "127.0.0.1", token + "x"), Refusal)
    assert access.judge(outside, "127.0.0.1", token) == Viewer("kiosk", Role.READ)


def test_a_wrong_token_is_refused_also_on_the_machine_itself() -> None:
    assert isinstance(local().judge(HERE, "127.0.0.1", "anything"), Refusal)


def test_a_token_that_was_taken_back_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    tokens = Tokens(path)
    assert tokens.find(token) == ("kiosk", Role.READ)
    path.write_text("[]\n")
    assert tokens.find(token) is None


def test_the_file_keeps_no_token_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    assert token not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        Tokens(path)


@pytest.mark.parametrize("text", ["{", "- name: x", "- 3", "- {name: a, role: boss, sha256: b}", "\x00"])
def test_a_damaged_file_of_tokens_lets_nobody_in(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    tokens = Tokens(path)
    path.write_text(text)
    assert tokens.find(token) is None


def test_a_name_has_one_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    new_token(path, "kiosk", Role.READ)
    with pytest.raises(ConfigError, match="already"):
        new_token(path, "kiosk", Role.OPERATE)


def test_a_token_comes_in_a_header_or_as_a_subprotocol() -> None:
    assert token_of({"authorization": "Bearer abc"}) == "abc"
    assert token_of({"sec-websocket-protocol": "evapd.1, evapd.token.abc"}) == "abc"
    assert token_of({"authorization": "Basic abc", "sec-websocket-protocol": "evapd.1"}) == ""


def test_at_every_address_a_token_is_asked_for_and_the_machine_itself_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "tokens.yaml"
    token = new_token(path, "kiosk", Role.READ)
    access = Access("0.0.0.0:17606", Tokens(path), (), Role.OPERATE)
    there = {"host": "192.168.1.5:17606"}
    asked = access.judge(there, "192.168.1.9", "")
    assert isinstance(asked, Refusal)
    assert asked.status == 401  # so that the page asks for one
    assert access.judge(there, "192.168.1.9", token) == Viewer("kiosk", Role.READ)
    assert access.judge({"host": "127.0.0.1:17606"}, "127.0.0.1", "") == Viewer("local", Role.OPERATE)
    # A foreign name that leads to this machine makes nobody local.
    assert isinstance(access.judge({"host": "evil.example:17606"}, "127.0.0.1", ""), Refusal)
