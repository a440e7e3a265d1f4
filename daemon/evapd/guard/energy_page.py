"""The table of energy states as people read it: made from the table that the guard follows, for docs/operating.md."""

from evapd.guard.energy import TABLE, EnergyEvent, EnergyState

LEGEND: dict[EnergyEvent, str] = {
    EnergyEvent.FOUND_DOWN: "at start: everything is read, nothing carries energy",
    EnergyEvent.FOUND_ENERGISED: "voltage or an output that this guard did not command",
    EnergyEvent.FOUND_ATTENDED: "the same at a restart, with `attended: true`",
    EnergyEvent.RUN_BEGIN: "`start`",
    EnergyEvent.START_REACHED: "the start ramp has ended",
    EnergyEvent.OBSERVE: "`start` under law monitor",
    EnergyEvent.OBSERVE_END: "the end of a run that was only watched",
    EnergyEvent.INHIBIT: "`inhibit`, or a rule",
    EnergyEvent.RELEASED: "the rule that inhibited is content again",
    EnergyEvent.HOLD: "`hold`, or a rule",
    EnergyEvent.PAUSE: "`pause`",
    EnergyEvent.ALIGN: "`align`",
    EnergyEvent.RESUME: "`resume`",
    EnergyEvent.RAMP_DOWN: "`stop`, `abort`, a rule, or the guard is asked to end",
    EnergyEvent.VERIFIED_DOWN: "readings show it",
    EnergyEvent.FAULT: "a rule that latches",
    EnergyEvent.ACKNOWLEDGE: "`acknowledge`",
}
"""What brings about each event, in the words of the operator's page."""


def transitions() -> list[tuple[str, str, dict[str, str]]]:
    """List event, cause, and the next state by present state; what is not named is refused and changes nothing."""
    return [
        (
            str(event),
            LEGEND[event],
            {state.label: TABLE[state, event].label for state in EnergyState if (state, event) in TABLE},
        )
        for event in EnergyEvent
    ]


def markdown() -> str:
    """Give the table in Markdown: one line for each event and state that it leads to."""
    lines = ["| event | by | leads from | to |", "| --- | --- | --- | --- |"]
    for event, cause, ways in transitions():
        stays = [state for state, target in ways.items() if state == target]
        for target in dict.fromkeys(ways.values()):
            sources = [state for state, one in ways.items() if one == target and state != target]
            if sources:
                lines.append(f"| {event} | {cause} | {', '.join(sources)} | {target} |")
        if stays:
            lines.append(f"| {event} | {cause} | {', '.join(stays)} | unchanged |")
    return "\n".join(lines) + "\n"
