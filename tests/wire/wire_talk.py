"""Reads transcripts and brings a simulated instrument into the state that they ask for."""

from pathlib import Path
from typing import Any

import yaml

from evapd_sim.plant import Plant
from evapd_sim.wire.base import Wire
from evapd_sim.wire.registry import make_wire

TRANSCRIPTS = Path(__file__).parent / "transcripts"
BINARY = {"attocube-anc350", "tdc-stream", "modbus-dio"}


def transcript(name: str) -> dict[str, Any]:
    return yaml.safe_load((TRANSCRIPTS / f"{name}.yaml").read_text())


def wire_of(content: dict[str, Any]) -> tuple[Wire, Plant]:
    plant = Plant()
    return make_wire(content["instrument"], plant, **content["settings"]), plant


def as_bytes(content: dict[str, Any], text: str) -> bytes:
    return bytes.fromhex(text) if content["instrument"] in BINARY else text.encode("latin-1")


def give(wire: Any, plant: Plant, given: dict[str, Any]) -> None:
    """Set the state that `given` names; an unknown name is a mistake in the transcript."""
    supply = wire.supply if hasattr(wire, "supply") else plant.pulse
    for key, value in given.items():
        if key == "v_v":
            supply.v_v = value
        elif key == "i_a":
            supply.load_ohm = supply.v_v / value
        elif key == "inhibit_input":
            plant.trigger.inhibit_input = value
        elif key in {"pressure_pa", "gauge_status", "temperature_k", "interlock"}:
            getattr(plant, key).update(value)
        elif key == "sensor_status":
            wire.sensor_status.update(value)
        elif key in {"discrete", "coils", "registers"}:
            for address, values in value.items():
                getattr(wire, key)[address : address + len(values)] = values
        elif key == "drift":
            plant.laser.drift = value
        elif key == "axes":
            give_axes(plant, value)
        elif not key.startswith("_") and hasattr(wire, key):
            setattr(wire, key, value)
        else:
            raise AssertionError(f"the transcript gives '{key}', which no instrument knows")


def give_axes(plant: Plant, axes: dict[int, dict[str, Any]]) -> None:
    """Set attributes of axes of the stage."""
    for number, state in axes.items():
        for name, value in state.items():
            assert hasattr(plant.stage.axes[number], name), name
            setattr(plant.stage.axes[number], name, value)


def deliver(wire: Any, *, words: list[list[int]], **rest: Any) -> None:
    columns = [list(column) for column in zip(*words, strict=True)] if words else [[], [], []]
    assert wire.deliver(*columns, **rest)
