"""What a service offers: commands with their arguments, results, and who may ask for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from evapd.security.roles import Role

Handler = Callable[[dict[str, Any]], Mapping[str, Any]]
LeaseRule = Literal["needed", "not needed", "not needed to lower the energy"]


class Args(BaseModel):
    """Base of a command's arguments: unknown keys, NaN, infinity and values of another type (`"on": 0`) are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class NoArgs(Args):
    """A command without arguments."""


class Result(BaseModel):
    """Base of what a command brings. More keys may come in later versions: readers ignore what they do not know."""

    model_config = ConfigDict(frozen=True, extra="allow")


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a service.

    `handler` gets every field of `model` (defaults filled in) as a dict and returns the result as a dict. It runs on
    the service's thread, so it only takes note of what is to be done and returns at once: a slow handler would keep an
    `abort` waiting. It refuses by raising an EvapdError. For whom it works, it finds in `evapd.rpc.caller.served`.

    Attributes:
        energy: it may raise or lower the energy at the specimen.
        who: the least role that may ask for it.
        result: what it brings.
        lowers: whether it only lowers the energy with these arguments: then it passes also while somebody else holds
            the lease, and other requests of the same peer use up nothing of its rate.
        lease: whether it is refused while somebody else holds the lease, unless it only lowers the energy.
        always: never refused by role, lease or rate, never answered from memory, and carried out also when its
            arguments are wrong: `abort`.
        news: whether a result changed anything; what changed nothing is not audited.
        keep_s: a read without arguments: its encoded result is good for so long, unless a command comes between.
    """

    name: str
    model: type[BaseModel]
    handler: Handler
    energy: bool = False
    doc: str = ""
    who: Role = Role.OPERATE
    result: type[BaseModel] = Result
    lowers: Callable[[Mapping[str, Any]], bool] | None = None
    lease: bool = True
    always: bool = False
    news: Callable[[Mapping[str, Any]], bool] | None = None
    keep_s: float = 0.0

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.who is Role.READ and not self.always

    @property
    def lease_rule(self) -> LeaseRule:
        """Give in words whether it needs the lease while somebody holds it."""
        if self.reads or self.always or not self.lease:
            return "not needed"
        return "needed" if self.lowers is None else "not needed to lower the energy"

    def passes(self, args: Mapping[str, Any]) -> bool:
        """Whether it is carried out also while somebody else holds the lease."""
        return self.lease_rule == "not needed" or (self.lowers is not None and self.lowers(args))

    def surely_lowers(self, args: object) -> bool:
        """Whether it only lowers the energy, with arguments as they came; what is wrong in any way does not."""
        if self.lowers is None or not isinstance(args, dict) or len(args) > len(self.model.model_fields):
            return False  # the last one: a refused flood of objects with thousands of keys must stay cheap
        try:
            return self.lowers(self.model.model_validate(args).model_dump())
        except ValidationError:
            return False
