"""The client that scripts use: commands, status, and the stream as numpy arrays."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

import zmq
from numpy.typing import NDArray

from evapd.blocks import HitBlock
from evapd.client.abort import abort
from evapd.client.feed import Feed
from evapd.client.status import Outcome, Status
from evapd.config.model import Sockets
from evapd.errors import RequestTimeout
from evapd.rpc import Requester
from evapd.stream.frame import HITS, LOOP, TOPICS, Message
from evapd.stream.subscriber import Subscriber

_DEFAULT = Sockets()
T = TypeVar("T")


class Client:
    """Talks to one daemon, also over its restarts. Commands may come from any thread; a feed belongs to one.

    Example:
        with Client() as evapd, evapd.hits(timeout_s=5) as blocks:
            evapd.start(name="W 110")
            for block in blocks:
                print(block.n, block.tof_ps.mean())

    Args:
        control: Address of the control socket.
        stream: Address of the stream.
        replay: Address of the replay socket; None counts missed frames instead of fetching them again.
        guard: Address of the guard's own socket (`ipc://<folder>/run/guard.ipc`), the way of `abort` when acquire is
            gone.
        timeout_s: Deadline of a command in seconds.
    """

    def __init__(
        self,
        control: str = _DEFAULT.control,
        stream: str = _DEFAULT.stream,
        replay: str | None = _DEFAULT.replay,
        *,
        guard: str | None = None,
        timeout_s: float = 2.0,
    ) -> None:
        self._stream, self._replay, self._guard, self._timeout_s = stream, replay, guard, timeout_s
        self._requester = Requester(control, timeout_s)
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._feeds: list[Feed[Any]] = []
        self._lost_before = 0  # by feeds that are closed

    @property
    def lost_frames(self) -> int:
        """Frames that feeds of this client missed for good; a run's record does not depend on them."""
        return self._lost_before + sum(feed.lost_frames for feed in self._feeds)

    def status(self) -> Status:
        """Ask how everything stands."""
        status = Status.read(self._requester.request("status"))
        address = (status.model_extra or {}).get("guard_address")
        if self._guard is None and isinstance(address, str):
            self._guard = address
        return status

    def describe(self) -> dict[str, Any]:
        """Ask which commands there are, with the JSON schemas of their arguments."""
        return self._requester.request("describe")

    def start(self, name: str | None = None, notes: str = "") -> Outcome:
        """Begin a run; raises RequestError with kind StateError while another one is under way."""
        return self._command("start", {"name": name, "notes": notes})

    def stop(self, reason: str = "") -> Outcome:
        """End the run: pulses off, voltage down, record closed."""
        return self._command("stop", {"reason": reason})

    def abort(self, reason: str = "") -> Outcome:
        """Pulses off and voltage down by the quickest way; straight to the guard when acquire does not confirm.

        Raises:
            StreamError: when nobody confirmed: act by hand.
        """
        return abort(self._requester, self._guard, reason or "aborted by a script")

    def set(self, **settings: float | str | bool) -> Outcome:
        """Change settings: target_rate, pulse_fraction, pulse_rate_hz, energy_pj, law, hold. See `describe` for the limits."""
        return self._command("set", settings)

    def hold(self, *, on: bool = True) -> Outcome:
        """Stop the pulses, lower the voltage by a tenth and wait; or go on, see `resume`."""
        return self.set(hold=on)

    def inhibit(self, *, on: bool = True) -> Outcome:
        """Stop the pulses and keep the voltage; or go on, see `resume`."""
        return self._command("inhibit", {"on": on})

    def pause(self) -> Outcome:
        """Stop the pulses and lower the voltage by `control.pause_drop`, until `resume`."""
        return self._command("pause", {})

    def align(self) -> Outcome:
        """Cap the voltage so that beam or stage may be moved; from a pause or a hold."""
        return self._command("align", {})

    def resume(self) -> Outcome:
        """Go on from nine tenths of the voltage and a part of the target.

        Raises:
            RequestError: with kind StateError when there is nothing to resume, or a rule stands against it.
        """
        return self._command("resume", {})

    def detector(self, *, on: bool) -> Outcome:
        """Ramp the detector's supplies up in steps, or down; in a run the specimen goes down first.

        Raises:
            RequestError: with kind StateError and everything that speaks against it.
        """
        return self._command("detector_on" if on else "detector_off", {})

    def acknowledge(self) -> Outcome:
        """Take note of alarms that are over; leave a latched fault once everything is verified down."""
        return self._command("acknowledge", {})

    def note(self, text: str) -> Outcome:
        """Write a note into the run's record."""
        return self._command("note", {"text": text})

    def hits(self, timeout_s: float | None = None) -> Feed[HitBlock]:
        """Subscribe to blocks of hits; ends after `timeout_s` of silence (blocks come also when they are empty)."""
        return self._feed((HITS,), Message.hit_block, timeout_s)

    def loop(self, timeout_s: float | None = None) -> Feed[Mapping[str, NDArray[Any]]]:
        """Subscribe to the samples of the control loop: columns by name."""
        return self._feed((LOOP,), lambda message: message.columns, timeout_s)

    def messages(self, topics: Sequence[str] = TOPICS, timeout_s: float | None = None) -> Feed[Message]:
        """Subscribe to frames of any topics as they are."""
        return self._feed(topics, lambda message: message, timeout_s)

    def close(self) -> None:
        """Close every socket."""
        for feed in self._feeds:
            feed.close()
        self._requester.close()
        self._context.destroy(linger=0)

    def _command(self, command: str, args: dict[str, Any]) -> Outcome:
        return Outcome.read(self._requester.request(command, args))

    def _feed(
        self, topics: Sequence[str], convert: Callable[[Message], T], timeout_s: float | None
    ) -> Feed[T]:
        subscriber = Subscriber(self._stream, self._replay, topics, context=self._context)
        if not subscriber.await_welcome(self._timeout_s):
            subscriber.close()
            raise RequestTimeout(
                f"nobody streams at {self._stream} (waited {self._timeout_s:g} s): is evapd running there?"
            )
        self._lost_before += sum(feed.lost_frames for feed in self._feeds if feed.closed)
        self._feeds = [feed for feed in self._feeds if not feed.closed]
        feed = Feed(subscriber, convert, timeout_s)
        self._feeds.append(feed)
        return feed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
