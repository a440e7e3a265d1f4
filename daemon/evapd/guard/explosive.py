"""How explosive a transition would be: can the loop follow it, or is it over before the law hears of it. Pure.

A layer that evaporates at a lower field speeds up its own transition: with r the rate, dr/dt = k r^2 and k = S Delta / N_tr.
So what counts is chi = S Delta r* L_tot / N_tr: the power of e by which the rate grows within the loop's latency. Simulated
(20 % steps, S 30 to 200, latency 0.1 to 0.5 s) the peaks fall on one line over chi: 1.5 times the target at 0.25, without
bound above 0.9.
"""

from dataclasses import asdict, dataclass
from typing import Any

from evapd.config.model import Rig

CHI_GOOD = 0.25  # up to here the peak stays below 1.5 times the target
CHI_LOST = 0.9  # above, no law survives on counts alone
_TICKS = 1.5  # a tick that waits, and half of one that counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Explosiveness:
    """What is shown: `chi` of the expected transition, and the smallest one that is survivable, in detected ions."""

    chi: float
    smallest_transition_ions: float
    latency_s: float
    sensitivity: float

    @property
    def word(self) -> str:
        """Judge in one word."""
        if self.chi <= CHI_GOOD:
            return "survivable"
        return "risky" if self.chi <= CHI_LOST else "explosive"

    def document(self) -> dict[str, Any]:
        """Give the JSON form."""
        return asdict(self) | {"word": self.word}


def total_latency_s(rig: Rig, lag_s: float) -> float:
    """Time from an ion to the voltage that answers it: delay of the counts, ticks, lag of the supply."""
    return rig.control.delay_s + _TICKS * rig.control.tick_s + lag_s


def explosiveness(
    rig: Rig, sensitivity: float | None, target_rate: float, pulse_rate_hz: float
) -> Explosiveness | None:
    """Reckon with the transition that the configuration expects; None while S is not known.

    Args:
        rig: expected_step (relative fall of the evaporation field) and expected_transition_ions of `control`.
        sensitivity: identified S.
        target_rate: hits per live pulse.
        pulse_rate_hz: pulses per second.
    """
    if sensitivity is None or not sensitivity > 0.0:
        return None
    # Downwards, and in full: a law that drives a slow supply below its goal does better than this says.
    latency_s = total_latency_s(rig, rig.guard.hv_tau_down_s)
    growth = sensitivity * rig.control.expected_step * target_rate * pulse_rate_hz * latency_s
    return Explosiveness(
        chi=growth / rig.control.expected_transition_ions,
        smallest_transition_ions=growth / CHI_GOOD,
        latency_s=latency_s,
        sensitivity=sensitivity,
    )
