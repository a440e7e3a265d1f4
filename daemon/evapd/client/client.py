"""The client that scripts use: commands, status, and the stream as numpy arrays."""

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from evapd.blocks import HitBlock
from evapd.client.blocking import perform
from evapd.client.connection import Connection
from evapd.client.feed import Feed, OnNotice, Source
from evapd.client.lease import Lease
from evapd.client.script import Script
from evapd.errors import RequestTimeout
from evapd.rpc import Requester
from evapd.stream.frame import HITS, LOOP, TOPICS, Message

M = TypeVar("M")
T = TypeVar("T")


class Client(Connection):
    """Talks to one daemon, also over its restarts. Commands may come from any thread; a feed belongs to one.

    Example:
        with Client() as evapd, evapd.hits(timeout_s=5) as blocks:
            evapd.start(name="W 110", wait_s=60)
            for block in blocks:
                print(block.n, block.tof_ps.mean())

    Its commands are those of `evapd.client.commands.Commands`, its arguments those of
    `evapd.client.connection.Connection`.
    """

    def _begin(self) -> None:
        self._requester = Requester(
            self._control, self._timeout_s, keys=self._keys, client=self.name, context=self._context
        )
        self._feeds: list[Feed[Any]] = []
        self._lost_before = 0  # by feeds that are closed

    @property
    def lost_frames(self) -> int:
        """Frames that feeds of this client missed for good; a run's record does not depend on them."""
        return self._lost_before + sum(feed.lost_frames for feed in self._feeds)

    def perform(self, script: Script[T]) -> T:
        """Carry a script of commands out, see `evapd.client.script`."""
        return perform(script, self._requester, self._context)

    def lease(self, ttl_s: float = 30.0, *, force: bool = False) -> Lease:
        """Be the only one who commands, in a `with`; see `Lease`. Without one, anybody who may operate commands.

        Raises:
            LeaseHeld: on entering, when somebody else has it and `force` is not given.
            LeaseLost: later, when it was lost.
        """
        self._check_no_lease()
        return Lease(self._ask_now, self._hold, ttl_s=ttl_s, force=force)

    def hits(self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None) -> Feed[HitBlock]:
        """Subscribe to blocks of hits; ends after `timeout_s` of silence (blocks come also when they are empty)."""
        return self._feed(self._frames((HITS,)), Message.hit_block, timeout_s, on_notice)

    def loop(
        self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None
    ) -> Feed[Mapping[str, NDArray[Any]]]:
        """Subscribe to the samples of the control loop: columns by name."""
        return self._feed(self._frames((LOOP,)), lambda message: message.columns, timeout_s, on_notice)

    def messages(
        self,
        topics: Sequence[str] = TOPICS,
        timeout_s: float | None = None,
        *,
        on_notice: OnNotice | None = None,
    ) -> Feed[Message]:
        """Subscribe to frames of any topics as they are."""
        return self._feed(self._frames(topics), lambda message: message, timeout_s, on_notice)

    def live(
        self, timeout_s: float | None = None, *, on_notice: OnNotice | None = None
    ) -> Feed[dict[str, Any]]:
        """Subscribe to the live documents, five a second: spectrum, map and rates, with arrays as numpy arrays.

        For displays: whoever is slow sees the newest, never a backlog.
        """
        return self._feed(self._displays(), lambda document: document, timeout_s, on_notice)

    def close(self) -> None:
        """Close every socket."""
        for feed in self._feeds:
            feed.close()
        self._requester.close()
        self._context.destroy(linger=0)

    def _ask_now(self, command: str, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        return self._requester.request(command, args, timeout_s=min(timeout_s, self._timeout_s))

    def _feed(
        self,
        source_of: Callable[[], Source[M]],
        convert: Callable[[M], T],
        timeout_s: float | None,
        on_notice: OnNotice | None,
    ) -> Feed[T]:
        source = source_of()
        if not source.await_welcome(self._timeout_s):
            source.close()
            raise RequestTimeout(
                f"nobody streams at {self._stream} (waited {self._timeout_s:g} s): is evapd running there?",
                sent=False,
            )
        self._lost_before += sum(feed.lost_frames for feed in self._feeds if feed.closed)
        self._feeds = [feed for feed in self._feeds if not feed.closed]
        feed = Feed(source, convert, timeout_s, on_notice)
        self._feeds.append(feed)
        return feed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
