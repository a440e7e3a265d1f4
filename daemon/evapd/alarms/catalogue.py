"""What each alarm means and what a person shall do: one table for messages, the command line and docs/alarms.md."""

from collections.abc import Mapping
from dataclasses import dataclass

from evapd.guard.rules.page import rows

_HAND = "go there: stop the pulser and switch the specimen supply off by hand, or start the daemon again"
_JOURNAL = "make room or check the disk; what was written is kept, `evapd recover` puts the run together"
_FALLBACK_ADVICE = "look at `evapd status` and at the log; `evapd abort` brings everything down"


@dataclass(frozen=True, slots=True)
class Entry:
    """One alarm in words."""

    source: str  # guard rule, guard, acquire, alarms
    meaning: str
    advice: str


def _rules() -> dict[str, Entry]:
    return {row["name"]: Entry("guard rule", row["meaning"], row["advice"]) for row in rows()}


OWN: Mapping[str, Entry] = {
    "acquire-gone": Entry("alarms", "Acquire does not answer: nothing is recorded any more.",
                          "look whether `evapd run` or the service restarts it; the guard ramps down by itself: see Energy"),
    "acquire-restarted": Entry("alarms", "Acquire has died and another has taken its place; a run that was under way is over.",
                               "`evapd runs` shows the run as recovered; look into log/acquire.log; start a new run"),
    "control-silent": Entry("alarms", "Acquire records and publishes, but does not answer at its control socket.",
                            "`evapd abort` also reaches the guard directly; end the run, then restart acquire"),
    "stream-silent": Entry("alarms", "Acquire answers, but its stream says nothing.",
                           "displays show old values; look into log/acquire.log; end the run, then restart acquire"),
    "guard-gone": Entry("alarms", "The guard does not answer: nobody guards the specimen, which may stand under voltage.", _HAND),
    "guard-restarted": Entry("alarms", "The guard has died and another has taken its place: it inhibits, reads, and ramps down or holds.",
                             "wait for `safe`, then `evapd acknowledge`; look into log/guard.log"),
    "disk-low": Entry("alarms", "The disk of the runs is nearly full: the run is ended in order when the reserve is reached.",
                      "make room on the disk of the rig's folder, or end the run"),
    "run-ended": Entry("alarms", "A run has ended.", "`evapd runs` shows it; start the next one when you are ready"),
    "hook-failing": Entry("alarms", "One of the ways to tell people does not work.",
                          "`evapd alarms test` says what is wrong with it"),
    "further-alarms": Entry("alarms", "More different alarms than are kept apart.", "look at `evapd watch` and at the log"),
    "test": Entry("alarms", "A test of the alarm hooks: nothing is wrong.", "nothing: somebody has typed `evapd alarms test`"),
}  # fmt: skip
"""What the process that tells people finds by itself."""

ACQUIRE: Mapping[str, Entry] = {
    "guard": Entry("acquire", "Acquire does not hear the guard.", _HAND),
    "guard-journal": Entry("acquire", "The guard's journal cannot be followed: displays miss what it says; it is still written.",
                           "look at the disk of the rig's folder; after the run `evapd recover` merges both journals"),
    "run": Entry("acquire", "A run could not start, or ended because something of it broke.", "read the text; mend it, then start again"),
    "run-end": Entry("acquire", "The end of a run was not confirmed, or the voltage did not come down in time.",
                     "look at the supply: `evapd status`; if in doubt `evapd abort`"),
    "record": Entry("acquire", "The record of a run could not be completed.", _JOURNAL),
    "journal": Entry("acquire", "The journal loses data, or cannot go on.", _JOURNAL),
    "pipeline": Entry("acquire", "Matching did not keep up: hits are missing; the words are recorded.", "`evapd rematch` makes them from the words"),
    "finalise": Entry("acquire", "The run's file could not be written.", "the journal is whole: make room, then `evapd export`"),
    "device": Entry("acquire", "An instrument does not answer, or is gone.", "look at its power and cable; `evapd status` names the error"),
    "loss": Entry("acquire", "Words are dropped, because matching is too slow.", "lower the rate, or give acquire a faster machine"),
    "time_sum": Entry("acquire", "The delay lines' time sums leave their place, or cannot be watched.",
                      "look at thresholds, cables and the MCP; calibrate anew"),
    "command": Entry("acquire", "A command was refused.", "the event names who asked and why it was refused"),
    "recovery": Entry("acquire", "A run that an earlier process has left could not be put together.", "`evapd recover` says why; its journal is kept as it is"),
    "second-copy": Entry("acquire", "The second copy of the journal falls behind, or has failed; the first one is whole.",
                         "look at the disk or the network of the second copy; the run goes on"),
    "retention": Entry("acquire", "Old runs could not be removed, as the rules of retention ask for.", "make room by hand; look at permissions"),
}  # fmt: skip
"""Kinds of acquire's events that warn; a blank in a kind is written as a hyphen."""

GUARD: Mapping[str, Entry] = {
    "abort": Entry("guard", "A person has aborted.", "ask who did and why; acknowledge when everything is down"),
    "link": Entry("guard", "Acquire was started with another configuration.", "restart guard and acquire with the same rig file"),
    "law": Entry("guard", "The control law has failed; another steers, or the voltage stays.", "look at rate and voltage; choose another law, or stop"),
    "config": Entry("guard", "The rig file is invalid; the guard works with the last good one.", "`evapd check` names every error; restart then"),
    "dead-man": Entry("guard", "No hardware acts when the guard dies.", "wire a dead man's relay: docs/dead-man.md"),
    "realtime": Entry("guard", "The guard has no real-time priority.", "give it LimitRTPRIO, or CAP_SYS_NICE; see its unit"),
    "wiring": Entry("guard", "A contact or an output is not as it should be.", "look at the module of digital inputs and outputs"),
    "detector": Entry("guard", "The detector's supplies were stopped or have a fault.", "look at currents and vacuum before `evapd detector on`"),
    "blackbox": Entry("guard", "The minute before a trip could not be kept.", "look at the disk of the rig's folder"),
}  # fmt: skip
"""Kinds of the guard's events that warn and belong to no rule."""


def catalogue() -> dict[str, Entry]:
    """Give every alarm by name."""
    return {**_rules(), **GUARD, **ACQUIRE, **OWN}


_ALL = catalogue()


def entry(name: str) -> Entry:
    """Give one; a name that is not known gets words that help all the same."""
    return _ALL.get(name) or Entry("", "Something is wrong.", _FALLBACK_ADVICE)


def name_of(kind: str) -> str:
    """Give the name of the alarm that an event of a kind makes."""
    return kind.replace(" ", "-")


def markdown() -> str:
    """Give the table of docs/alarms.md."""
    lines = ["| alarm | who says it | what it means | what to do |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{name}` | {one.source} | {one.meaning} | {one.advice} |" for name, one in catalogue().items()
    ]
    return "\n".join(lines)
