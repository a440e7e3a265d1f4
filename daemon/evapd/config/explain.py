"""What a person is told about a value: the model's complaint, and what the model's schema allows there."""

import difflib
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic_core import ErrorDetails

from evapd.config.problem import KeyPath

Schema = dict[str, Any]

_WANTED = {
    "number": "a number", "integer": "a whole number", "boolean": "true or false", "string": "a text",
    "array": "a list", "object": "a mapping of keys to values", "null": "nothing",
}  # fmt: skip
_BOUNDS = (
    (("exclusiveMinimum", "gt"), "more than"), (("minimum", "ge"), "at least"),
    (("exclusiveMaximum", "lt"), "less than"), (("maximum", "le"), "at most"),
)  # fmt: skip


def schema_of(model: type[BaseModel]) -> Schema:
    """Give the JSON schema of a model; empty where a model has parts that no schema can express."""
    try:
        return model.model_json_schema()
    except PydanticInvalidForJsonSchema:
        return {}


def variants(schema: Schema, path: KeyPath) -> list[Schema]:
    """Give the alternatives that a schema allows at a path; empty where it says nothing."""
    found = list(_flat(schema, schema))
    for key in path:
        found = [leaf for one in found for child in _children(one, key) for leaf in _flat(schema, child)]
    return found


def _flat(root: Schema, schema: Schema) -> Iterator[Schema]:
    if "$ref" in schema:
        yield from _flat(root, root["$defs"][schema["$ref"].removeprefix("#/$defs/")])
        return
    for keyword in ("anyOf", "oneOf", "allOf"):
        if keyword in schema:
            outer = {name: value for name, value in schema.items() if name != keyword}
            for one in schema[keyword]:
                yield from _flat(root, outer | one)
            return
    yield schema


def _children(schema: Schema, key: str | int) -> Iterator[Schema]:
    if isinstance(key, int):
        leading = schema.get("prefixItems", [])
        child = leading[key] if key < len(leading) else schema.get("items")
    else:
        child = schema.get("properties", {}).get(key, schema.get("additionalProperties"))
    if isinstance(child, dict):
        yield child


def types_at(schema: Schema, path: KeyPath) -> set[str]:
    """Give the JSON types allowed at a path."""
    return {one["type"] for one in variants(schema, path) if isinstance(one.get("type"), str)}


def keys_at(schema: Schema, path: KeyPath) -> list[str]:
    """Give the keys allowed in the mapping at a path, in the order of the model."""
    return list(dict.fromkeys(key for one in variants(schema, path) for key in one.get("properties", {})))


def range_at(schema: Schema, path: KeyPath) -> str:
    """Say which numbers are allowed at a path, such as `more than 0, at most 30000`."""
    bounds = []
    for names, words in _BOUNDS:
        for one in variants(schema, path):
            limit = next((one[name] for name in names if isinstance(one.get(name), int | float)), None)
            if limit is not None:
                bounds.append(f"{words} {limit:g}")
                break
    return ", ".join(bounds)


def unknown_key(key: str, allowed: list[str]) -> str:
    """Say that a key is unknown, which one was probably meant, and which are allowed."""
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f", did you mean '{near[0]}'?" if near else ","
    return f"unknown key{hint} allowed are {', '.join(allowed)}" if allowed else "unknown key"


def wanted_at(schema: Schema, path: KeyPath) -> str:
    """Say in words what is wanted at a path, such as `a number (more than 0)`."""
    types = types_at(schema, path) - {"null"}
    quantity = {"number", "string"} <= types and any("pattern" in one for one in variants(schema, path))
    words = "a number or a quantity" if quantity else " or ".join(_WANTED[name] for name in sorted(types))
    limits = range_at(schema, path)
    return f"{words or 'another value'} ({limits})" if limits else words or "another value"


def explain(  # noqa: PLR0911 - one kind of complaint per line
    error: ErrorDetails, path: KeyPath, schema: Schema, shown: str
) -> str:
    """Put one pydantic error into words.

    Args:
        error: one entry of `ValidationError.errors()`.
        path: where it stands in the file.
        schema: of the model that complained.
        shown: the value as it is written in the file.
    """
    wanted = wanted_at(schema, path)
    match error["type"]:
        case "extra_forbidden":
            return unknown_key(str(path[-1]), keys_at(schema, path[:-1]))
        case "missing":
            return f"missing, wanted is {wanted}"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            return f"{shown} is out of range, allowed is {range_at(schema, path) or _plain_words(error)}"
        case "literal_error" | "enum":
            return f"{shown} is not known, allowed are {error['ctx']['expected']}"
        case "finite_number":
            return f"{shown} is not a finite number, wanted is {wanted}"
        case "string_type":
            return f"{shown} is not a text, write it in quotes"
        case "value_error":
            return str(error["ctx"]["error"])
        case kind if kind.endswith(("_type", "_parsing", "_from_float")):
            return f"{shown} is not allowed here, wanted is {wanted}"
    return _plain_words(error)


def _plain_words(error: ErrorDetails) -> str:
    message = error["msg"].replace("Input should", "should").replace("after validation, ", "")
    return message[:1].lower() + message[1:]
