"""What a command does, written once: a generator of steps that a thread or an event loop carries out."""

import functools
import inspect
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Concatenate, Generic, ParamSpec, Protocol, Self, TypeVar, get_args, overload

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Ask:
    """Send a request and come back with its result; with its error, if it has one.

    `guard` is the address of the guard's own socket, where the request goes there instead of to acquire.
    """

    command: str
    args: dict[str, Any]
    request_id: str
    timeout_s: float
    guard: str | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Come back after some seconds, with nothing."""

    seconds: float


Step = Ask | Sleep
Script = Generator[Step, dict[str, Any], T]


class Blocking(Protocol):
    """Carries a script out on the calling thread."""

    def perform(self, script: Script[T]) -> T:
        """Give what the script comes to."""
        ...


class Waiting(Protocol):
    """Carries a script out on an event loop."""

    async def perform(self, script: Script[T]) -> T:
        """Give what the script comes to."""
        ...


class Method(Generic[P, T_co]):
    """A command as a method: plain on a blocking client, a coroutine on a waiting one; typed as such for both."""

    def __init__(self, make: Callable[Concatenate[Any, P], Script[T_co]]) -> None:
        self._make = make
        functools.update_wrapper(self, make)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Blocking, owner: type) -> Callable[P, T_co]: ...
    @overload
    def __get__(self, instance: Waiting, owner: type) -> Callable[P, Coroutine[Any, Any, T_co]]: ...
    def __get__(self, instance: Any, owner: type) -> Any:
        """Bind it to a client; keeps name, docstring and signature for whoever asks for help."""
        if instance is None:
            return self
        make = self._make

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return instance.perform(make(instance, *args, **kwargs))

        functools.update_wrapper(method, make, updated=())
        method.__signature__ = _bound(make)  # type: ignore[attr-defined]  # what inspect and Jupyter show
        return method

    def __call__(self, instance: Any, *args: P.args, **kwargs: P.kwargs) -> Script[T_co]:
        """Make the script itself, for use within another one."""
        return self._make(instance, *args, **kwargs)


@functools.cache
def _bound(make: Callable[..., object]) -> inspect.Signature:
    signature = inspect.signature(make)
    result = get_args(signature.return_annotation)
    return signature.replace(
        parameters=list(signature.parameters.values())[1:],
        return_annotation=result[-1] if result else signature.return_annotation,
    )


def command(make: Callable[Concatenate[Any, P], Script[T]]) -> Method[P, T]:
    """Make a method of a script."""
    return Method(make)
