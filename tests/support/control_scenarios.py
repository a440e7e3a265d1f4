"""The scenarios of the control benchmark: what the specimen does, what the law is told, how long, what is looked at."""

from dataclasses import dataclass, field, replace
from typing import Any

from evapd.control import ControlSettings
from support.control_loop import Circumstances
from support.control_specimen import Specimen, leakage

PULSE_RATE_HZ = 200e3
QUIET = {"noise_sd": 0.03, "noise_tau_s": 10.0}
STILL = {"noise_sd": 0.0}
ROUGH = {"noise_sd": 0.25, "noise_tau_s": 1.0}
_STEP_S = 20.0
LATE_S = 55.0  # when the step of the robustness scenarios begins
_STEP = {"layer_from_s": _STEP_S, "layer_field": 0.8}
# Tick, delay and supply make the age of what the law acts on: delay + 1.5 ticks + lag of the supply.
_AGE_S = 0.1 + 1.5 * 0.05 + 0.05


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One row of a table. `since_s`: peak and ions above 5 x are counted from here."""

    name: str
    specimen: Specimen
    seconds: float
    circumstances: Circumstances = field(default_factory=Circumstances)
    told: dict[str, Any] = field(default_factory=dict)  # settings that differ from the defaults
    since_s: float = 0.0
    steady_s: tuple[float, float] = (10.0, 1e9)  # where scatter, mean and ripple are looked at
    oracle: bool = False

    def settings(self) -> ControlSettings:
        """What the law is told."""
        fields: dict[str, Any] = {
            "target_rate": self.specimen.target_hz / PULSE_RATE_HZ, "pulse_rate_hz": PULSE_RATE_HZ, "v_min_v": 500.0,
            "v_max_v": 8000.0, "hv_tau_up_s": self.specimen.tau_up_s, "hv_tau_down_s": self.specimen.tau_down_s,
        }  # fmt: skip
        return ControlSettings(**(fields | self.told))


def explosive_ions(specimen: Specimen, chi: float, field_step: float = 0.2, age_s: float = _AGE_S) -> float:
    """Ions of a transition with the explosiveness chi = S step rate age / ions."""
    return specimen.sensitivity * field_step * specimen.target_hz * age_s / chi


def _tracking() -> list[Scenario]:
    noises: dict[str, dict[str, float]] = {
        "slow noise: sd 0.03, 10 s": QUIET,
        "usual noise: sd 0.1, 2 s": {},
        "rough noise: sd 0.25, 1 s": ROUGH,
        "drift only": STILL,
        "random walk: 0.02 per root second": STILL | {"walk_per_sqrt_s": 0.02},
        "poles: sd 0.1, 2 s, and a burst of 150 ions each 10 s": {"burst_hz": 0.1, "burst_ions": 150.0},
    }
    return [
        Scenario(name=name, specimen=Specimen(**noise), seconds=120.0, since_s=10.0, oracle=True)
        for name, noise in noises.items()
    ]


def _ripple() -> list[Scenario]:
    cases = [(60, 20), (60, 200), (60, 2000), (60, 5000), (30, 2000), (200, 2000)]
    return [
        Scenario(
            name=f"S = {s}, {rate} hits/s",
            specimen=Specimen(sensitivity=s, target_hz=rate, **STILL),
            seconds=120.0,
            steady_s=(50.0, 120.0),
        )
        for s, rate in cases
    ]


def _steps() -> list[Scenario]:
    usual = Specimen(**_STEP, layer_ions=2e4)
    tips = [usual._replace(sensitivity=s) for s in (30.0, 60.0, 100.0, 200.0)]
    cases = {
        **{
            f"-20 %, chi = 0.25, S = {tip.sensitivity:.0f}": tip._replace(
                layer_ions=explosive_ions(tip, 0.25)
            )
            for tip in tips
        },
        "-20 % over 20 000 ions, S = 60": usual,
        "-20 % over 100 000 ions, S = 60": usual._replace(layer_ions=1e5),
    }
    back = Specimen(layer_from_s=5.0, layer_field=0.8, layer_ions=2e4, back_from_s=40.0)
    return [
        *(
            # At the target the transition takes as long as its ions.
            Scenario(
                name=name, specimen=tip, seconds=round(40.0 + tip.layer_ions / tip.target_hz), since_s=_STEP_S
            )
            for name, tip in cases.items()
        ),
        Scenario(name="and back, +25 % from 40 s on", specimen=back, seconds=90.0, since_s=40.0),
    ]


def _abrupt() -> list[Scenario]:
    leaky = Specimen(**_STEP, layer_ions=1e3, leakage=leakage(60.0))
    soft = Circumstances(guarded=True)
    tenth = replace(soft, cut=0.9, driven_down=False)
    wired = leaky._replace(inhibit_above=10.0)
    steep = Specimen(sensitivity=200.0, **_STEP, layer_ions=2e4, leakage=leakage(200.0))
    cases = {
        "abrupt, records 30 ms late": (leaky, soft),
        "30 ms, a tenth, not driven down": (leaky, tenth),
        "20 ms": (leaky, replace(soft, record_s=0.02)),
        "10 ms": (leaky, replace(soft, record_s=0.01)),
        "10 ms, a tenth, not driven down": (leaky, replace(tenth, record_s=0.01)),
        "30 ms, supply falls with 5 s": (leaky._replace(tau_down_s=5.0), soft),
        "hardware inhibit within 1 ms": (wired, soft),
        "hardware inhibit, a tenth, not driven down": (wired, tenth),
        "hardware inhibit, supply falls with 5 s": (wired._replace(tau_down_s=5.0), soft),
        "S = 200, 20 000 ions (chi 0.9)": (steep, soft),
        "S = 200, 20 000 ions, TDC overflows above 0.4 ions/pulse": (
            steep._replace(overflow_above=0.4),
            soft,
        ),
    }
    return [
        Scenario(name=name, specimen=tip, circumstances=around, seconds=50.0, since_s=_STEP_S)
        for name, (tip, around) in cases.items()
    ]


def _start() -> list[Scenario]:
    below = Circumstances(v_start_v=3000.0)
    starts = {
        **{f"S = {s}": (0.03, {"sensitivity": s}) for s in (30, 60, 100, 200)},
        "S = 60, slow noise": (0.03, QUIET),
        "S = 250, 50 hits/s": (0.03, {"sensitivity": 250, "target_hz": 50}),
        "S = 60, hunting at 1.2 %/s": (0.012, {"sensitivity": 60}),
        "S = 200, hunting at 1.2 %/s": (0.012, {"sensitivity": 200}),
        "S = 250, 50 hits/s, hunting at 1.2 %/s": (0.012, {"sensitivity": 250, "target_hz": 50}),
    }
    return [
        Scenario(
            name=name,
            specimen=Specimen(brittle=1.0)._replace(**changes),
            circumstances=below,
            told={"max_slew_up_hunting": slew},
            seconds=60.0 if slew > 0.02 else 75.0,
            oracle=name in {"S = 60", "S = 60, slow noise"},
        )
        for name, (slew, changes) in starts.items()
    ]


def _lost() -> list[Scenario]:
    tip = Specimen(dead_from_s=20.0, dead_to_s=28.0)
    return [
        Scenario(name="8 s without pulses", specimen=tip, seconds=50.0, since_s=28.0, oracle=True),
        Scenario(
            name="8 s without pulses, slow noise",
            specimen=tip._replace(**QUIET),
            seconds=50.0,
            since_s=28.0,
            oracle=True,
        ),
        Scenario(
            name="8 s without pulses, S = 200",
            specimen=tip._replace(sensitivity=200.0),
            seconds=50.0,
            since_s=28.0,
        ),
        Scenario(
            name="8 s without pulses, nobody notices",
            specimen=tip,
            circumstances=Circumstances(flagged=False),
            seconds=50.0,
            since_s=28.0,
        ),
        Scenario(
            name="detector silent for 8 s, rate at target",
            specimen=Specimen(),
            circumstances=Circumstances(silent=(20.0, 28.0)),
            seconds=50.0,
            since_s=20.0,
        ),
        Scenario(
            name="detector silent for 8 s, 10 % below target",
            specimen=Specimen(**STILL),
            circumstances=Circumstances(v_start_v=4990.0, silent=(0.5, 8.5)),
            seconds=30.0,
        ),
        Scenario(
            name="detector silent for 8 s while hunting",
            specimen=Specimen(),
            circumstances=Circumstances(v_start_v=4000.0, silent=(3.0, 11.0)),
            seconds=40.0,
        ),
        Scenario(
            name="readback jumps by 0.3 %",
            specimen=Specimen(**QUIET),
            circumstances=Circumstances(readback_step=(20.0, 0.003)),
            seconds=50.0,
            since_s=20.0,
        ),
        Scenario(
            name="micro-fracture: field +15 % in 500 ions",
            specimen=Specimen(layer_from_s=20.0, layer_field=1.15, layer_ions=500.0),
            seconds=90.0,
            since_s=20.0,
        ),
    ]


def _robust() -> list[Scenario]:
    """One condition at a time away from S = 60, 0.1 s, Fano 1.3, 2000 hits/s; then corners."""
    cases: dict[str, dict[str, float]] = {
        "as usual": {},
        **{f"S = {s}": {"sensitivity": s} for s in (30, 100, 200, 250)},
        **{f"delay {d} s": {"delay_s": d} for d in (0.05, 0.2, 0.3)},
        **{f"Fano {f}": {"fano": f} for f in (1.0, 2.5)},
        **{f"{r} hits/s": {"target_hz": r} for r in (20, 200, 5000)},
        "supply falls with 5 s": {"tau_down_s": 5.0},
        "leakage at the standing voltage": {"leakage": leakage(60.0)},
        "S = 200, delay 0.3 s": {"sensitivity": 200, "delay_s": 0.3},
        "S = 250, 50 hits/s, delay 0.2 s, Fano 2.5, fall 5 s": {
            "sensitivity": 250, "target_hz": 50, "delay_s": 0.2, "fano": 2.5, "tau_down_s": 5.0,
        },
        "S = 30, 20 hits/s, delay 0.3 s, leakage": {
            "sensitivity": 30, "target_hz": 20, "delay_s": 0.3, "leakage": leakage(60.0),
        },
        "S = 200, 5000 hits/s, fall 5 s, Fano 2.5": {
            "sensitivity": 200, "target_hz": 5000, "tau_down_s": 5.0, "fano": 2.5,
        },
    }  # fmt: skip
    made = []
    for name, changes in cases.items():
        delay_s = changes.get("delay_s", 0.1)
        tip = Specimen(**QUIET)._replace(**{key: v for key, v in changes.items() if key != "delay_s"})
        # Fewer ions than this are over before counting statistics can tell that anything changed.
        ions = max(explosive_ions(tip, 0.15, 0.1, delay_s + 0.125), 800.0)
        tip = tip._replace(layer_from_s=LATE_S, layer_field=0.9, layer_ions=ions)
        # The transition takes as long as its ions at the target.
        made.append(
            Scenario(
                name=name,
                specimen=tip,
                circumstances=Circumstances(v_start_v=4000.0),
                told={"delay_s": delay_s},
                seconds=round(LATE_S + 20.0 + ions / tip.target_hz),
                steady_s=(35.0, LATE_S),
            )
        )
    return made


GROUPS = {
    "tracking": _tracking(),
    "ripple": _ripple(),
    "steps": _steps(),
    "abrupt": _abrupt(),
    "start": _start(),
    "lost": _lost(),
    "robust": _robust(),
}
