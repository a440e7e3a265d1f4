"""`evapd calibrate`: recorded words in, anode file and picture out."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from evapd import __version__
from evapd.blocks import TdcBlock
from evapd.calibration import Calibration, calibrate
from evapd.calibration.anodefile import anode_text
from evapd.errors import RecordError
from evapd.matching.anode import Anode
from evapd.record.newfile import new_file, refuse_existing
from evapd.record.words import WordSource, open_words
from evapd.report.calibration_plot import plot_calibration
from evapd.report.found import missing_extra


def calibrate_recorded(
    source: Path,
    output: Path,
    *,
    made: datetime,
    anode: Path | None = None,
    picture: Path | None = None,
    radius_mm: float | None = None,
    force: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> Calibration:
    """Calibrate from a run, also one under way, or a words file, and write what came of it.

    Args:
        source: run folder or words file.
        output: the anode file to write.
        made: the present time in UTC, for the file's heading.
        anode: anode file to begin with; a run's own anode when None, nothing for a words file.
        picture: PNG to write.
        radius_mm: of the area that the hits fill; that of the anode to begin with when None.
        force: replace output files that are there.
        progress: is told which part of the words has been read, 0 to 1.

    Raises:
        ConfigError: when the anode file is not valid.
        RecordError: when the words cannot be read, or a file cannot be written or is there already.
        StateError: when the words do not give what is needed.
    """
    for target in (output, picture):
        if target is not None:
            _refuse_inputs(target, source, anode)
            refuse_existing(target, force=force)
    if picture is not None and find_spec("matplotlib") is None:
        raise missing_extra("the picture of the calibration", ImportError(name="matplotlib"))
    given = Anode.load(anode) if anode is not None else None
    words = open_words(source)
    start = given or words.anode
    begun_with = str(anode) if anode is not None else f"the anode of {source}" if start else ""
    calibration = calibrate(_told(words, progress), start, radius_mm=radius_mm)
    unread = words.reading.damaged + words.reading.undecodable
    if unread:
        note = f"{unread} frames of words are damaged and were left out"
        calibration = replace(calibration, notes=(*calibration.notes, note))
    text = anode_text(calibration, source=str(source), start=begun_with, made=made, version=__version__)
    with new_file(output) as file:
        file.write(text.encode())
    if picture is not None:
        plot_calibration(calibration, picture, source=str(source))
    return calibration


def _refuse_inputs(target: Path, *inputs: Path | None) -> None:
    for path in inputs:
        if path is not None and target.resolve() == path.resolve():
            raise RecordError(f"{target} is what is read: name another file to write")


def _told(words: WordSource, progress: Callable[[float], None]) -> Iterator[TdcBlock]:
    for block in words.blocks():
        progress(words.read_share)
        yield block
    progress(1.0)
