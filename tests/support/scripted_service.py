"""A control socket whose every answer is the test's own, also none at all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import zmq

from evapd.stream.jsontext import from_json, to_json

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


class ScriptedService:
    """Gives each request to `answer`, which makes `{"result": ...}`, `{"error": ...}`, or None for silence."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[dict[str, Any]] = []
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._socket = self._context.socket(zmq.ROUTER)
        self.address = f"tcp://127.0.0.1:{self._socket.bind_to_random_port('tcp://127.0.0.1')}"
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def count(self, command: str) -> int:
        """How often a command was asked for."""
        return sum(request["cmd"] == command for request in self.requests)

    def _serve(self) -> None:
        while not self._end.is_set():
            if self._socket.poll(20):
                routing_id, body = self._socket.recv_multipart()
                request = from_json(body)
                self.requests.append(request)
                answer = self.answer(request)
                if answer is not None:
                    reply = {"v": 1, "id": request["id"], "ok": "result" in answer, **answer}
                    self._socket.send_multipart([routing_id, to_json(reply)])

    def close(self) -> None:
        """End it."""
        self._end.set()
        self._thread.join()
        self._context.destroy(linger=0)


@contextmanager
def scripted(answer: Answer) -> Iterator[ScriptedService]:
    """A service for the time of a `with`."""
    service = ScriptedService(answer)
    try:
        yield service
    finally:
        service.close()
