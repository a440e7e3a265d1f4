"""The way down when the guard's own loop has failed: it uses nothing of the core, and no error ends it early."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from evapd.device.readings import HighVoltageReading
from evapd.guard.awaited import Awaited
from evapd.guard.descent import RETRY_S, Descent
from evapd.guard.types import DeviceView, GuardSettings, Inputs, LinkView

_log = logging.getLogger(__name__)
_SPARE_S, _FALLS = 10.0, 10.0


class Instruments(Protocol):
    """What is needed of the instruments."""

    def make_safe(self) -> None:
        """Tell everything that carries energy to make itself safe; the detector's supplies last."""
        ...

    def views(self) -> Mapping[str, DeviceView]:
        """Every device as of its newest reading."""
        ...


class LastResort:
    """Tells everything to make itself safe, again and again, until readings younger than the first telling show it, or time is over."""

    def __init__(self, settings: GuardSettings, instruments: Instruments, clock: Callable[[], float]) -> None:
        """Begin; `clock` gives monotonic seconds."""
        self._settings, self._instruments, self._clock = settings, instruments, clock
        self._detector = settings.rig.detector
        guard, now_s = settings.rig.guard, clock()
        self._descent = Descent(settings)  # its own: one of before the fault may count older readings
        self._descent.begin(0.0, 0.0, now_s, quick=True)
        detector_s = 0.0 if self._detector is None else self._detector.down_takes_s
        self._end_s = now_s + _SPARE_S + _FALLS * guard.hv_tau_down_s + detector_s
        self._told_s = -math.inf
        self._off: dict[str, Awaited] = {}  # the detector's supplies that were told
        self._error = ""

    def step(self) -> bool:
        """Do one step, some twenty times a second; True when it is over. Never raises."""
        now_s = self._clock()
        pending = ["everything"]
        with self._whatever_fails():
            pending = self._pending()
        if pending and now_s - self._told_s >= RETRY_S:
            self._told_s = now_s
            with self._whatever_fails():
                self._instruments.make_safe()
                self._note_told(now_s)
        if pending and now_s >= self._end_s:
            _log.critical("not verified down in time: %s; look at the supplies", ", ".join(pending))
        return not pending or now_s >= self._end_s

    @contextmanager
    def _whatever_fails(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever fails here too, the next step tries again
            if repr(error) != self._error:
                self._error = repr(error)
                _log.exception("while making safe")

    def _pending(self) -> list[str]:
        """Name what is not verified down: what carries energy, and the detector's supplies."""
        views = self._instruments.views()
        supplies = {} if self._detector is None else self._detector.supplies
        return self._descent.pending(Inputs(devices=views, link=LinkView())) + [
            name for name in supplies if not self._is_down(views.get(name))
        ]

    def _note_told(self, now_s: float) -> None:
        """For supplies that cannot tell whether they are off: down is what reads low after it was told."""
        views = self._instruments.views()
        self._descent.switched_off("specimen", Inputs(devices=views, link=LinkView()), now_s)
        for name in {} if self._detector is None else self._detector.supplies:
            self._off.setdefault(name, Awaited()).tell(now_s)

    def _is_down(self, view: DeviceView | None) -> bool:
        if view is None or not isinstance(view.reading, HighVoltageReading) or self._detector is None:
            return view is not None and not view.required and view.reading is None
        fresh = view.known and view.reading.t_mono_s > self._descent.began_s
        if view.reading.output_on is None:
            off = self._off.get(view.name)
            fresh = fresh and off is not None and off.done(view.reading.t_mono_s)
        return fresh and abs(view.reading.v_meas_v) < self._detector.off_v and not view.reading.output_on
