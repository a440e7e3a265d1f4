"""The JSON schema of a rig file, with the settings of every installed driver and twin, for editors and other programs."""

import json
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from evapd.config.model import Rig
from evapd.config.plugins import INSTALLED, Plugins

_KEYWORDS = {"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"}


def rig_schema(plugins: Plugins = INSTALLED) -> dict[str, Any]:
    """Give the JSON schema (draft 2020-12) of a rig file.

    Per device, the name of the driver decides which settings are allowed; per twin, its kind does.

    Raises:
        ConfigError: when a driver or twin cannot be imported.
    """
    drivers = {name: plugins.find_driver(name).Config for name in plugins.driver_names()}
    twins = {kind: plugins.find_twin(kind) for kind in plugins.twin_kinds()}
    models: list[type[BaseModel]] = [Rig, *dict.fromkeys([*drivers.values(), *twins.values()])]
    references, shared = models_json_schema([(model, "validation") for model in models])
    definitions = shared["$defs"]
    definitions["DeviceSpec"] = _by_choice(
        definitions["DeviceSpec"], "driver", {name: references[Config, "validation"] for name, Config in drivers.items()}
    )  # fmt: skip
    definitions["TwinSpec"] = _by_choice(
        definitions["TwinSpec"], "kind", {kind: references[model, "validation"] for kind, model in twins.items()}
    )  # fmt: skip
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "evapd rig",
        **references[Rig, "validation"],
        "$defs": definitions,
    }
    standard: dict[str, Any] = _standard(schema)
    return standard


def schema_text(plugins: Plugins = INSTALLED) -> str:
    """Give the schema as the text that is kept in `config/rig.schema.json`."""
    return json.dumps(rig_schema(plugins), indent=1, sort_keys=True) + "\n"


def _by_choice(schema: dict[str, Any], key: str, choices: dict[str, Any]) -> dict[str, Any]:
    """Let the value of `key` decide what `settings` may hold."""
    properties = dict(schema["properties"])
    properties[key] = {**properties[key], "enum": sorted(choices)}
    rules = [
        {
            "if": {"properties": {key: {"const": name}}, "required": [key]},
            "then": {"properties": {"settings": choices[name]}},
        }
        for name in sorted(choices)
    ]
    return {**schema, "properties": properties, **({"allOf": rules} if rules else {})}


def _standard(part: Any) -> Any:
    """Write bounds of quantities with the keywords of JSON schema, where pydantic leaves its own."""
    if isinstance(part, list):
        return [_standard(item) for item in part]
    if not isinstance(part, dict):
        return part
    is_number = part.get("type") in {"number", "integer"}
    return {
        _KEYWORDS.get(key, key) if is_number and not isinstance(value, dict) else key: _standard(value)
        for key, value in part.items()
    }
