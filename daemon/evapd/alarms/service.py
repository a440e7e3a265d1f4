"""The alarm process' own socket: list, acknowledge, test. The command line and the web display ask here."""

from typing import Any, Protocol

from pydantic import Field

from evapd.rpc import Args, Command, NoArgs
from evapd.security.roles import Role


class AcknowledgeArgs(Args):
    """Which, and for how long."""

    id: int | None = Field(default=None, ge=1, description="number of the alarm; all, where it is left out")
    up_to: int | None = Field(
        default=None, ge=1, description="of all, only those up to this number: what was listed to a person"
    )
    for_s: float | None = Field(
        default=None, gt=0, le=7 * 86_400, description="told by nobody for so long, also when it comes anew"
    )


class HookArgs(Args):
    """Which hook."""

    hook: str | None = Field(default=None, max_length=40, description="its name; all, where it is left out")


class Answers(Protocol):
    """What the commands need of the process."""

    def listing(self) -> dict[str, Any]:
        """Every alarm and every hook."""
        ...

    def acknowledge(
        self, number: int | None, for_s: float | None, up_to: int | None = None
    ) -> dict[str, Any]:
        """Take note that a person has seen."""
        ...

    def test(self, hook: str | None) -> dict[str, Any]:
        """Send a test message."""
        ...


def make_commands(office: Answers) -> list[Command]:
    """List what the socket serves; `describe` is added by the service."""
    return [
        Command(
            "list",
            NoArgs,
            lambda _: office.listing(),
            doc="Every alarm that is known, and every hook.",
            who=Role.READ,
        ),
        Command(
            "acknowledge",
            AcknowledgeArgs,
            lambda args: office.acknowledge(args["id"], args["for_s"], args["up_to"]),
            doc="A person has seen it: nobody else is told. It changes nothing at the guard.",
        ),
        Command(
            "test",
            HookArgs,
            lambda args: office.test(args["hook"]),
            doc="Send a test message; `list` shows what came of it.",
        ),
    ]
