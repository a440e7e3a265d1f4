"""Where things lie below a rig's folder; the one place that names these paths."""

from dataclasses import dataclass
from pathlib import Path

from evapd.errors import RecordError

# sun_path holds 108 bytes; libzmq and the kernel refuse more with an unclear message.
MAX_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths below one rig's folder."""

    folder: Path

    @property
    def runs(self) -> Path:
        """Run folders."""
        return self.folder / "runs"

    @property
    def sockets(self) -> Path:
        """Unix sockets, lock files, and the name of the run under way."""
        return self.folder / "run"

    @property
    def link_socket(self) -> Path:
        """SEQPACKET socket on which the guard awaits acquire."""
        return self.sockets / "link.sock"

    @property
    def guard_ipc(self) -> str:
        """ZeroMQ address of the guard's own ROUTER."""
        return f"ipc://{self.sockets / 'guard.ipc'}"

    @property
    def alarms_ipc(self) -> str:
        """ZeroMQ address of the process that tells people of alarms."""
        return f"ipc://{self.sockets / 'alarms.ipc'}"

    @property
    def alarms_state(self) -> Path:
        """What that process has told and who has acknowledged it."""
        return self.folder / "alarms" / "state.json"

    @property
    def guard_journal(self) -> Path:
        """The guard's standing journal, between runs."""
        return self.folder / "guard"

    @property
    def last_good(self) -> Path:
        """The last configuration that was valid, for a guard that restarts beside an invalid one."""
        return self.folder / "guard" / "last-good.json"

    @property
    def twin(self) -> Path:
        """Pseudo-terminals of the twin."""
        return self.folder / "twin"

    @property
    def numba_cache(self) -> Path:
        """Compiled kernels."""
        return self.folder / "cache" / "numba"

    def make(self) -> None:
        """Create the folders, readable by the owner's group only.

        Raises:
            RecordError: when that is not possible.
        """
        for path in (self.runs, self.sockets, self.guard_journal, self.numba_cache):
            try:
                path.mkdir(parents=True, exist_ok=True, mode=0o750)
            except OSError as error:
                raise RecordError(
                    f"{path} cannot be made: {error.strerror}; check the rig's `folder`, its permissions and its disk"
                ) from error
