"""Twin, guard, acquire and display of one rig, for tests of the page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.daemon import Daemon
from support.rig_files import rig_folder, write_rig
from support.wait import wait_for

# A specimen that evaporates within seconds, so that a test need not wait for a slow approach.
# The page is on trial, not the guard: a browser that draws without a graphics card keeps both cores busy, and a reply that
# comes a second late must not end the run that is looked at.
QUICK: dict[str, Any] = {
    "control": {"v_start_v": 2400},
    "guard": {"energy_timeout_s": 10, "device_timeout_s": 10, "silent_ramp_down_s": 30},
    "end": None,
}


class WebRig(Daemon):
    """A rig whose display is served too."""

    @property
    def url(self) -> str:
        """Address of the page, without the last slash."""
        return f"http://{self.loaded.rig.web.address}"

    def await_page(self) -> None:
        """Wait until the display's server is there."""
        log = self.loaded.layout.folder / "web.log"
        wait_for(
            lambda: log.exists() and "the display is at" in log.read_text(),
            lambda: f"the display\n{self.logs()}",
            60.0,
        )


@contextmanager
def web_rig(changes: dict[str, Any] | None = None, source: str = "sim.yaml") -> Iterator[WebRig]:
    """Start all of it, and stop it."""
    with rig_folder() as folder:
        rig = WebRig(write_rig(folder, QUICK | (changes or {}), source))
        try:
            rig.start("guard", "acquire", "web")
            rig.await_page()
            yield rig
        finally:
            rig.close()
