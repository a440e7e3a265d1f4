"""The JSON schema that editors read."""

import json
from pathlib import Path
from typing import Any

from evapd.config import rig_schema, schema_text

COMMITTED = Path(__file__).parents[2] / "config" / "rig.schema.json"


def rule_for(definition: dict[str, Any], key: str, name: str) -> dict[str, Any]:
    """Give what the schema demands when `key` is `name`."""
    (found,) = [rule for rule in definition["allOf"] if rule["if"]["properties"][key] == {"const": name}]
    demanded: dict[str, Any] = found["then"]["properties"]["settings"]
    return demanded


def test_the_committed_schema_is_up_to_date() -> None:
    assert COMMITTED.read_text() == schema_text(), (
        "run `evapd schema > config/rig.schema.json` and commit the file"
    )


def test_the_driver_decides_which_settings_are_allowed() -> None:
    schema = rig_schema()
    reference = rule_for(schema["$defs"]["DeviceSpec"], "driver", "fug-probus")["$ref"]
    settings = schema["$defs"][reference.removeprefix("#/$defs/")]
    assert "v_max_v" in settings["required"]
    assert settings["additionalProperties"] is False


def test_the_kind_of_twin_decides_its_settings() -> None:
    schema = rig_schema()
    reference = rule_for(schema["$defs"]["TwinSpec"], "kind", "atom-probe")["$ref"]
    assert "seed" in schema["$defs"][reference.removeprefix("#/$defs/")]["properties"]


def test_bounds_are_written_with_the_keywords_of_json_schema() -> None:
    number = rig_schema()["$defs"]["Specimen"]["properties"]["v_dc_max_v"]["anyOf"][0]
    assert number == {"type": "number", "exclusiveMinimum": 0, "maximum": 30000}


def test_every_reference_leads_somewhere() -> None:
    schema = rig_schema()
    text = json.dumps(schema)
    targets = {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert targets <= set(schema["$defs"])
