"""What run.json says at the start of a run: everything needed to understand and repeat it."""

from typing import Any

from evapd.config import LoadedRig
from evapd.matching import Anode, MatchSettings
from evapd.record.run import Note, Person, RunInfo, Segment, StateChange, present_versions


def describe_run(
    loaded: LoadedRig,
    anode: Anode,
    matching: MatchSettings,
    *,
    run_id: str,
    name: str,
    notes: str,
    instance: str,
    devices: dict[str, Any],
    t_utc_us: int,
    t_mono_us: int,
    calibration: str,
) -> RunInfo:
    """Describe a run that begins: people, specimen, settings, instruments, versions, and its first segment.

    `calibration` is what its hits are made with: the anode's, or the hardware's own.
    """
    rig = loaded.rig
    first = Segment(
        number=0,
        first_pulse=0,
        t_mono_us=t_mono_us,
        t_utc=t_utc_us,
        settings={
            "target_rate": rig.control.target_rate,
            "law": rig.control.law,
            "pulse_rate_hz": rig.pulse.rate_hz,
            "pulse_fraction": rig.pulse.fraction,
            "energy_pj": rig.pulse.energy_pj,
            "mode": rig.pulse.mode,
            "calibration": calibration,
            "risky_methods": list(matching.risky_methods),
        },
        reason="start",
    )
    all_notes = tuple(Note(text=text, t_utc=t_utc_us) for text in (rig.notes, notes) if text)
    return RunInfo(
        id=run_id,
        name=name,
        instance=instance,
        t_start_utc=t_utc_us,
        t_start_mono_us=t_mono_us,
        operator=Person(**rig.operator.model_dump()),
        specimen=rig.specimen.model_dump(mode="json"),
        is_simulation=loaded.twin is not None,
        notes=all_notes,
        configuration=rig.model_dump(mode="json"),
        configuration_digest=loaded.digest,
        configuration_source=loaded.source,
        anode=anode.model_dump(mode="json"),
        calibration=calibration,
        devices=devices,
        versions=present_versions(),
        segments=(first,),
        states=(StateChange(state="arming", t_mono_us=t_mono_us, t_utc=t_utc_us),),
    )
