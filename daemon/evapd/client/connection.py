"""Where a client connects and as whom; what the blocking and the waiting client have in common."""

import re
import sys
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import zmq

from evapd.client.commands import Commands
from evapd.client.feed import Source
from evapd.client.lease_term import Term
from evapd.client.live import LiveSource
from evapd.config.layout import Layout
from evapd.config.model import Sockets
from evapd.errors import ConfigError, StateError
from evapd.security.keys import ClientKeys
from evapd.stream.frame import Message
from evapd.stream.sockets import check_address, reachable
from evapd.stream.subscriber import Subscriber

_DEFAULT = Sockets()
_NAME_LENGTH = 40
_PORTS = ("control", "stream", "replay", "live")


class Connection(Commands):
    """Addresses, keys and name of a client. Nothing is sent before the first command or feed.

    Args:
        control: Address of the control socket.
        stream: Address of the stream.
        replay: Address of the replay socket; None counts missed frames instead of fetching them again.
        live: Address of the live socket.
        guard: Address of the guard's own socket (`ipc://<folder>/run/guard.ipc`), the way of `abort` when acquire is
            gone; learnt from the first `status` where it is not given.
        keys: Who we are and which daemon we trust, for a daemon on another machine.
        name: What this program calls itself to others, as the holder of a lease for example; the script's by default.
        timeout_s: Deadline of a command in seconds.
        retry_s: For so long a command that got no answer is sent again, so that a restart of the daemon goes unnoticed.
            It is executed at most once all the same; where that cannot be known, RequestTimeout is raised.
    """

    def __init__(
        self,
        control: str = _DEFAULT.control,
        stream: str = _DEFAULT.stream,
        replay: str | None = _DEFAULT.replay,
        *,
        live: str = _DEFAULT.live,
        guard: str | None = None,
        keys: ClientKeys | None = None,
        name: str | None = None,
        timeout_s: float = 2.0,
        retry_s: float = 0.0,
    ) -> None:
        super().__init__(guard=guard, near=_is_near(control), timeout_s=timeout_s, retry_s=retry_s)
        self._control, self._stream, self._replay, self._live = control, stream, replay, live
        self._keys = keys
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.name = client_name(name)
        """What others see: the name given, and a part that no other start of this program has."""
        self._begin()

    def _begin(self) -> None:
        """Make what one kind of client needs."""

    @classmethod
    def from_rig(cls, path: Path | str, **options: Any) -> Self:
        """Connect to the daemon of a rig file, on its own machine.

        Args:
            path: The rig file that the daemon was started with.
            options: `keys` (where the rig demands any: its own folder of keys, if that may be read), `name`,
                `timeout_s`, `retry_s`, as above.

        Raises:
            ConfigError: when the file is not valid.
        """
        from evapd.config import load_rig  # noqa: PLC0415 - asks every installed driver, which is slow

        loaded = load_rig(Path(path))
        sockets = loaded.rig.sockets
        addresses: dict[str, Any] = {name: reachable(getattr(sockets, name)) for name in _PORTS}
        if sockets.keys is not None and "keys" not in options:
            options["keys"] = ClientKeys.load(sockets.keys)
        return cls(**addresses, guard=Layout(loaded.layout.folder.absolute()).guard_ipc, **options)

    @classmethod
    def at(cls, host: str, keys: ClientKeys | Path | str, **options: Any) -> Self:
        """Connect to the daemon on another machine, on its usual ports.

        Args:
            host: IP address, such as 192.168.1.20.
            keys: Keys, or the folder where they lie: `client.key` and the daemon's `server.pub` (docs/security.md).
            options: `control`, `stream`, `replay`, `live` for other ports, `name`, `timeout_s`, `retry_s`.

        Raises:
            ConfigError: when the keys are missing, damaged or readable by others, or `host` is no IP address.
        """
        address = f"[{host}]" if ":" in host else host
        ports = {name: f"tcp://{address}:{getattr(_DEFAULT, name).rpartition(':')[2]}" for name in _PORTS}
        loaded = keys if isinstance(keys, ClientKeys) else ClientKeys.load(keys)
        return cls(**{**ports, "keys": loaded, **options})

    def _hold(self, term: Term | None) -> None:
        self._term = term

    def _check_no_lease(self) -> None:
        if self._term is not None:
            raise StateError("this client has a lease already, and commands by it")

    def _frames(self, topics: Sequence[str]) -> "Callable[[], Source[Message]]":
        if not topics:
            raise ConfigError("no topics: name at least one, see docs/protocols/stream.md")
        return lambda: Subscriber(self._stream, self._replay, topics, keys=self._keys, context=self._context)

    def _displays(self) -> "Callable[[], Source[dict[str, Any]]]":
        return lambda: LiveSource(self._live, keys=self._keys, context=self._context)


def _is_near(address: str) -> bool:
    try:
        check_address(address, keyed=False)
    except ConfigError:
        return False
    return True


def client_name(name: str | None) -> str:
    """Make a name that nobody else uses, of at most 64 characters, from what the program is called."""
    script = Path(sys.argv[0] if sys.argv else "")
    given = name or (script.parent.name if script.stem == "__main__" else script.stem) or "python"
    plain = re.sub(r"[^A-Za-z0-9._ -]", "_", given)[:_NAME_LENGTH]
    return f"{plain}-{uuid.uuid4().hex[:12]}"
