"""A control service and a publisher as acquire has them, without instruments behind."""

from types import TracebackType
from typing import Any, Self

from evapd.errors import StateError
from evapd.rpc import Args, Command, NoArgs, Service
from evapd.stream.publisher import Publisher
from support.stream_parts import make_framer

TCP = "tcp://127.0.0.1:*"

STATUS: dict[str, Any] = {
    "instance": "first-start",
    "run_state": "running",
    "run": {
        "id": "20260301T120000Z-W110",
        "folder": "/d",
        "started_utc": 1,
        "elapsed_s": 3725.4,
        "segment": 2,
    },
    "last_run": None,
    "hits": 1_234_567,
    "pulses": 123_456_789,
    "words": 6_000_000,
    "rate_per_pulse": 0.0101,
    "losses": {"flags": [], "lost_blocks": 0, "journal": 0},
    "journal": {"frames": 5},
    "devices": {
        "specimen-supply": {
            "role": "specimen",
            "state": "online",
            "age_s": 0.1,
            "last_error": None,
            "reading": {},
        },
        "vacuum": {
            "role": "vacuum",
            "state": "unknown",
            "age_s": 12.0,
            "last_error": "no reply",
            "reading": None,
        },
    },
    "guard": {
        "energy_state": "controlling",
        "v_dc_v": 4012.25,
        "v_dc_set_v": 4013.0,
        "v_p_v": 802.4,
        "law": "pi-log",
        "target_rate": 0.01,
        "alarms": [],
        "run_id": "x",
    },
    "alarms": ["vacuum: no reply"],
}


class Reason(Args):
    reason: str = ""


class Start(Args):
    name: str | None = None
    notes: str = ""


class Set(Args):
    target_rate: float | None = None
    hold: bool | None = None


class On(Args):
    on: bool = True


class Note(Args):
    text: str


class Daemon:
    """Answers the public commands and remembers them."""

    def __init__(
        self,
        control: str = TCP,
        stream: str = TCP,
        replay: str = TCP,
        instance: str = "first-start",
        budget_bytes: int = 4_000_000,
    ) -> None:
        self.framer = make_framer(instance)
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.status: dict[str, Any] = STATUS | {"instance": instance}
        self.publisher = Publisher(
            stream,
            TCP,
            replay,
            instance=instance,
            budget_bytes=budget_bytes,
            snapshot=lambda: self.status,
            next_seq=self.framer.next_seq,
        )
        models = {"start": Start, "stop": Reason, "abort": Reason, "set": Set, "hold": On, "note": Note}
        commands = [Command(name, model, self._take(name)) for name, model in models.items()]
        self.service = Service(control, [Command("status", NoArgs, lambda _: self.status), *commands])

    def _take(self, name: str) -> Any:
        def handler(args: dict[str, Any]) -> dict[str, Any]:
            if name == "start" and args["name"] == "second":
                raise StateError("a run is under way; stop it first")
            self.calls.append((name, args))
            return {"accepted": True, "run_state": "running"}

        return handler

    def __enter__(self) -> Self:
        self.publisher.start()
        self.service.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.service.stop()
        self.publisher.stop()
