"""What `evapd run` says when its run has ended: the summary, the picture, and for a replay the comparison."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from evapd.config import LoadedRig
from evapd.errors import EvapdError
from evapd.record.nxs import open_run
from evapd.record.run import Condition, RunStore
from evapd.report.digest import gather
from evapd.report.plot import draw_report
from evapd.report.replay_check import check_replay, replay_note
from evapd.report.summary import summary_of

_BAD = (Condition.ABORTED, Condition.INCOMPLETE)
REPLAY = "replay"  # the kind of twin that plays a file
REPLAY_NOTE = "replay-source.json"  # what it played, below the rig's twin folder


def report_outcome(loaded: LoadedRig, run_folder: Path, say: Callable[[str], None]) -> bool:
    """Tell how a run went; never raises for what is wrong with the run.

    Args:
        loaded: the rig that ran.
        run_folder: of the run that ended.
        say: takes one line for people.

    Returns:
        True when the run is whole: finalised, neither aborted nor incomplete, and a replay agrees with its source.
    """
    try:
        info = RunStore(run_folder).load()
    except EvapdError as error:
        say(f"the run cannot be read: {error}")
        return False
    if info.nexus is None:
        say(
            f"run {info.id} was not finalised; what was recorded is in its journal, `evapd export {run_folder}` finalises it"
        )
        return False
    good = _summary(run_folder, say) and not set(_BAD) & set(info.conditions)
    if loaded.rig.twin is not None and loaded.rig.twin.kind == REPLAY:
        good = _replay(loaded, run_folder, say) and good
    return good


def _summary(run_folder: Path, say: Callable[[str], None]) -> bool:
    try:
        with open_run(run_folder) as run:
            digest = gather(run)
            summary = summary_of(run, digest)
            try:
                summary = replace(summary, report=draw_report(run, digest, summary))
            except EvapdError as error:
                say(f"no picture was made: {error}")  # the run is no worse for it
            for line in summary.lines():
                say(line)
    except EvapdError as error:
        say(f"the run cannot be summarised: {error}")
        return False
    return True


def _replay(loaded: LoadedRig, run_folder: Path, say: Callable[[str], None]) -> bool:
    signals = getattr(loaded.twin, "signals", None)
    bin_ps = getattr(signals, "bin_ps", None)
    width_ps = None if loaded.rig.record.raw_words or bin_ps is None else float(bin_ps[0]) / float(bin_ps[1])
    try:
        source, generated = replay_note(loaded.layout.twin / REPLAY_NOTE)
        check = check_replay(run_folder, source, generated=generated, bin_ps=width_ps)
    except EvapdError as error:
        say(f"the replay cannot be compared with its source: {error}")
        return False
    for line in check.lines():
        say(line)
    return check.good
