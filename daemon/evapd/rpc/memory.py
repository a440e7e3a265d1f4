"""What was executed under which id: asked again, it is answered from here and not executed again."""

from collections import OrderedDict
from dataclasses import dataclass

PER_CLIENT = 64
CLIENTS = 256
REPLY_BYTES = 16 * 1024  # a longer reply is remembered as "done", its content is asked for again
TOTAL_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Done:
    """One executed request: a digest of what was asked, and the reply."""

    digest: bytes
    reply: bytes


class Memory:
    """The last replies of the last clients, oldest forgotten first; bounded in number and bytes whatever they do."""

    def __init__(self) -> None:
        self._clients: OrderedDict[bytes, OrderedDict[str, Done]] = OrderedDict()
        self.nbytes = 0

    def recall(self, client: bytes, request_id: str) -> Done | None:
        """Give what was executed under this id."""
        replies = self._clients.get(client)
        return None if replies is None else replies.get(request_id)

    def keep(self, client: bytes, request_id: str, done: Done) -> None:
        """Remember it."""
        replies = self._clients.setdefault(client, OrderedDict())
        self._clients.move_to_end(client)
        self._forget(replies.pop(request_id, None))
        replies[request_id] = done
        self.nbytes += len(done.reply)
        if len(replies) > PER_CLIENT:
            self._forget(replies.popitem(last=False)[1])
        while len(self._clients) > CLIENTS or self.nbytes > TOTAL_BYTES:
            for one in self._clients.popitem(last=False)[1].values():
                self._forget(one)

    def _forget(self, done: Done | None) -> None:
        if done is not None:
            self.nbytes -= len(done.reply)
