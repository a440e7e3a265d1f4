"""What was measured as a file for the record and a page for people."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from evapd.commission.findings import Findings, warnings
from evapd.commission.supply import Step
from evapd.config import LoadedRig
from evapd.errors import RecordError


def document(found: Findings, loaded: LoadedRig, when: datetime) -> dict[str, Any]:
    """Give everything as plain values; `when` is a label in UTC."""
    return {
        "measured": when.astimezone(UTC).isoformat(timespec="seconds"),
        "rig": loaded.rig.name,
        "configuration_digest": loaded.digest,
        "is_simulation": loaded.twin is not None,
        **_plain(asdict(found)),
        "warnings": list(warnings(found, loaded.rig)),
    }


def write(content: dict[str, Any], folder: Path) -> Path:
    """Write it into a new file of the folder, named by its time.

    Raises:
        RecordError: when that cannot be done.
    """
    stamp = content["measured"].replace("-", "").replace(":", "").replace("+0000", "Z")
    path = folder / f"commission-{stamp}.yaml"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise RecordError(f"{path}: {error.strerror or error}; name another folder with --output") from error
    return path


def text(found: Findings, loaded: LoadedRig) -> str:
    """Give the page that a person reads."""
    lines = [
        f"{name:<18} reading {1e3 * one.median_s:7.1f} ms, at most {1e3 * one.longest_s:.1f} ms"
        for name, one in found.reads.items()
    ]
    lines += [
        f"{name:<18} command {1e3 * one.median_s:7.1f} ms, at most {1e3 * one.longest_s:.1f} ms"
        for name, one in found.commands.items()
    ]
    lines += [*_supply(found), *_tdc(found)]
    lines += [f"not measured: {what}: {why}" for what, why in found.skipped.items()]
    told = list(warnings(found, loaded.rig))
    lines += [f"WARNING: {one}" for one in told] or ["the settings fit what was measured"]
    return "\n".join(lines)


def _supply(found: Findings) -> Iterator[str]:
    supply = found.supply
    if supply is None:
        return
    yield f"supply             up   {_step(supply.up)}"
    yield f"                   down {_step(supply.down)}"
    yield (
        f"                   reads {supply.error_low_v:+.2f} V at {supply.low_v:g} V, {supply.error_high_v:+.2f} V at "
        f"{supply.high_v:g} V, noise {supply.noise_v:.2f} V"
    )


def _step(step: Step) -> str:
    most = "at most " if step.bound else ""
    return f"time constant {most}{step.tau_s:.3g} s, delay {step.delay_s:.3f} s, {step.slew_v_per_s:.0f} V/s"


def _tdc(found: Findings) -> Iterator[str]:
    tdc = found.tdc
    if tdc is None:
        return
    yield f"TDC                heartbeat p99 {1e3 * tdc.heartbeat_p99_s:.1f} ms, at most {1e3 * tdc.heartbeat_longest_s:.1f} ms"
    mcp = "" if tdc.mcp_hz is None else f", {tdc.mcp_hz:.1f} words/s of the MCP"
    yield f"                   {tdc.dark_hz:.2f} hits/s in the dark{mcp}"
    yield f"                   {tdc.pulse_rate_hz:.3f} pulses/s, {tdc.rate_error_ppm:+.1f} ppm against this computer's clock"
    if tdc.inhibit_s:
        middle_s = tdc.inhibit_s[len(tdc.inhibit_s) // 2]
        yield f"                   inhibit felt after {1e3 * middle_s:.1f} ms, at most {1e3 * tdc.inhibit_s[-1]:.1f} ms"


def _plain(value: Any) -> Any:
    """Give plain containers and numbers of six digits: what is measured has no more."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
