"""Pictures of typical runs of the control benchmark: rate, voltage and mode of every law on the same specimen."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from evapd.report.style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SETTINGS, SKY
from support.control_bench import LAWS_TOLD, OURS, run
from support.control_loop import Run
from support.control_scenarios import GROUPS, Scenario

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = {"imm": BLUE, "pi-log": GREEN, "proportional": ORANGE, "stepper": PURPLE}
MODES = {"track": BLUE, "hunting": SKY, "creep": "#B3D9F2", "frozen": GREY, "hold": GREY, "inhibited": RED, "held": "#000000"}  # fmt: skip
_SPARE = ("#F0E442", "#8C6D31", "#C7C7C7", "#9467BD")
SEED = 3


class Picture(NamedTuple):
    """Which run, which part of it, and what it says."""

    file: str
    group: str
    scenario: str
    title: str
    from_s: float
    to_s: float
    rate: tuple[float, float]
    volts: tuple[float, float]
    marks: tuple[tuple[float, str], ...] = ()
    without: tuple[str, ...] = ()
    event_s: tuple[float, float] | None = None


PICTURES = (
    Picture(
        "start", "start", "S = 60", "Start from 60 % of the threshold, S = 60, target 2000 hits/s",
        0.0, 60.0, (0.0005, 4.0), (2900.0, 5300.0),
    ),
    Picture(
        "layer", "steps", "-20 % over 20 000 ions, S = 60",
        "A layer: the evaporation field falls by a fifth while 20 000 ions go, rate feedback alone",
        17.0, 40.0, (0.05, 6000.0), (3300.0, 5200.0), ((20.0, "layer begins"),),
    ),
    Picture(
        "pulser-loss", "lost", "8 s without pulses", "Pulses have no amplitude for eight seconds",
        15.0, 50.0, (0.05, 400.0), (4850.0, 5450.0), event_s=(20.0, 28.0),
    ),
    Picture(
        "abrupt", "abrupt", "hardware inhibit within 1 ms",
        "An abrupt layer with leakage: hardware inhibit, and the guard's cut", 18.0, 35.0, (0.01, 2000.0), (3300.0, 5200.0),
        ((20.0, "layer begins"),),
    ),
    Picture(
        "drift", "tracking", "drift only", "Only the apex blunts: what is left is what the law itself does",
        30.0, 120.0, (0.9, 1.1), (4990.0, 5030.0),
    ),
)  # fmt: skip


def draw_all(folder: Path) -> None:
    """Draw every picture into a folder as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in PICTURES:
        draw(picture, folder / f"{picture.file}.png")


def draw(picture: Picture, path: Path) -> None:
    """Draw one picture."""
    import matplotlib as mpl  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    scenario = next(one for one in GROUPS[picture.group] if one.name == picture.scenario)
    laws = [law for law in LAWS_TOLD if law not in picture.without]
    runs = {law: run(scenario, law, SEED) for law in laws}
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(10.0, 7.6), layout="constrained")
        rate, volts, modes = figure.subplots(
            3, 1, sharex=True, height_ratios=(3.0, 2.2, 0.32 * len(OURS) + 0.2)
        )
        _rates(rate, runs, picture)
        _volts(volts, runs, picture, scenario)
        _modes(modes, {law: runs[law] for law in OURS if law in runs}, picture)
        figure.suptitle(picture.title, x=0.01, ha="left", fontweight="bold", fontsize=13)
        figure.savefig(path, dpi=110)


def _smooth(run: Run) -> tuple[np.ndarray, np.ndarray]:
    """Give the mean rate of 0.2 s."""
    size = len(run.rows) // 4 * 4
    return run.rows[:size, 0].reshape(-1, 4).mean(1), run.rows[:size, 1].reshape(-1, 4).mean(1)


def _rates(axes: "Axes", runs: dict[str, Run], picture: Picture) -> None:
    from matplotlib.ticker import FuncFormatter, MultipleLocator, NullFormatter  # noqa: PLC0415

    # The plain laws first: ours lie above them.
    for law in reversed(list(runs)):
        t_s, ratio = _smooth(runs[law])
        axes.plot(
            t_s,
            np.maximum(ratio, 1e-9),
            color=COLOURS[law],
            label=law,
            lw=1.8 if law in OURS else 1.3,
            alpha=1.0 if law in OURS else 0.85,
        )
    axes.set_yscale("log")
    axes.set_ylim(*picture.rate)
    axes.set_ylabel("rate / target")
    low, high = picture.rate
    axes.axhline(1.0, color="black", lw=0.8, zorder=0)
    if high > 5.0:
        axes.axhline(5.0, color=RED, lw=0.8, ls="--", zorder=0)
        axes.text(picture.to_s, 5.0, "5 x target ", color=RED, fontsize=9, ha="right", va="bottom")
    if high / low < 3.0:
        axes.set_yscale("linear")
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MultipleLocator(0.05))
    else:
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
    _marks(axes, picture, words=True)
    handles, labels = axes.get_legend_handles_labels()
    axes.legend(
        handles[::-1], labels[::-1], ncols=len(labels), loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1
    )  # fmt: skip


def _volts(axes: "Axes", runs: dict[str, Run], picture: Picture, scenario: Scenario) -> None:
    for law in reversed(list(runs)):
        rows = runs[law].rows
        axes.plot(rows[:, 0], rows[:, 2], color=COLOURS[law], lw=1.8 if law in OURS else 1.3)
    axes.set_ylim(*picture.volts)
    axes.set_ylabel("V_dc in V")
    if picture.volts[1] - picture.volts[0] > 100.0:
        axes.axhline(scenario.specimen.v_threshold_v, color=GREY, lw=0.7, ls=":", zorder=0)
    _marks(axes, picture, words=False)


def _modes(axes: "Axes", runs: dict[str, Run], picture: Picture) -> None:
    from matplotlib.patches import Patch  # noqa: PLC0415

    colours = dict(MODES)
    spare = iter(_SPARE)
    seen: dict[str, str] = {}
    for line, result in enumerate(runs.values()):
        edges = [k for k in range(1, len(result.modes)) if result.modes[k] != result.modes[k - 1]]
        for begin, end in zip([0, *edges], [*edges, len(result.modes)], strict=True):
            mode = result.modes[begin]
            begin_s, end_s = result.rows[begin, 0], result.rows[end - 1, 0]
            if end_s < picture.from_s or begin_s > picture.to_s:
                continue
            colour = colours.setdefault(mode, next(spare, GREY)) if mode not in colours else colours[mode]
            seen[mode] = colour
            axes.broken_barh([(begin_s, end_s - begin_s + 0.05)], (line - 0.38, 0.76), color=colour, lw=0)
    axes.set_yticks(range(len(runs)), list(runs))
    axes.set_ylim(len(runs) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.set_xlim(picture.from_s, picture.to_s)
    axes.set_xlabel("time in s")
    axes.spines["left"].set_visible(False)
    axes.legend(
        handles=[Patch(color=colour, label=mode) for mode, colour in seen.items()],
        ncols=len(seen), loc="lower right", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.1, handlelength=1.0, fontsize=9,
    )  # fmt: skip


def _marks(axes: "Axes", picture: Picture, *, words: bool) -> None:
    for at_s, what in picture.marks:
        axes.axvline(at_s, color=GREY, lw=0.8)
        if words:
            axes.text(
                at_s,
                0.03,
                f" {what}",
                transform=axes.get_xaxis_transform(),
                va="bottom",
                fontsize=9,
                color=GREY,
            )
    if picture.event_s is not None:
        axes.axvspan(*picture.event_s, color="#EDEDED", zorder=-1)
        if words:
            axes.text(
                sum(picture.event_s) / 2, 0.97, "no pulses", transform=axes.get_xaxis_transform(), va="top", ha="center",
                fontsize=9, color=GREY,
            )  # fmt: skip
