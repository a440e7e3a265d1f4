"""How kernels are compiled: the same arithmetic for all of them, no GIL, and a cache that notices every change."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from numba import njit
from numba.core.cpu import CPUTargetOptions
from numba.extending import overload

F = TypeVar("F", bound=Callable[..., object])
K = TypeVar("K", bound=Callable[[int], Callable[..., Any]])

_OPTIONS: Any = {"nogil": True, "error_model": "numpy"}
if hasattr(CPUTargetOptions, "_nrt"):
    # No reference counting: no kernel makes or keeps an array, and atomic counters cost three times the matching
    # itself. Where a numba has no such option the hits are the same and only take longer.
    _OPTIONS["_nrt"] = False


def compiled(function: F) -> F:
    """Compile a kernel that only other kernels call; plain Python with NUMBA_DISABLE_JIT=1.

    No fast-math: compiled and plain runs give the same bits.
    """
    kernel: F = njit(**_OPTIONS)(function)
    return kernel


def inlined(function: F) -> F:
    """Compile a small kernel into its callers: handing over the numbers of an anode costs more than what it does."""
    kernel: F = njit(forceinline=True, **_OPTIONS)(function)
    return kernel


def by_kind(function: Callable[..., Any]) -> Callable[[K], K]:
    """Let a plain function, which chooses between kernels by the kind of anode, be called by kernels.

    Decorates what gives the kernel for a number of channels, known from the type of the record `s`. So only the kernels
    of one kind are compiled; those of the other would cost seconds and never be called.
    """

    def decorate(kernel_of: K) -> K:
        def choose(a: Any, s: Any, *rest: Any) -> Callable[..., Any]:  # noqa: ARG001 - numba wants the same parameters
            kernel = kernel_of(s.fields["filled"].type.shape[0])

            def call(a: Any, s: Any, *rest: Any) -> Any:
                return kernel(a, s, *rest)

            return call

        overload(function, jit_options=_OPTIONS, strict=False)(choose)
        return kernel_of

    return decorate


def entry(make: Callable[[int], F]) -> F:
    """Compile a kernel that Python calls, cached on disk in `NUMBA_CACHE_DIR`.

    numba looks only at the file of the cached kernel, so a change in a kernel that it calls would go unnoticed and
    old machine code would run. What a kernel closes over is part of the cache's key: `make` gets a digest of all
    sources of its package and returns a kernel that closes over it.
    """
    kernel: F = njit(cache=True, **_OPTIONS)(make(_source_digest(Path(make.__code__.co_filename).parent)))
    return kernel


def _source_digest(folder: Path) -> int:
    digest = hashlib.sha256()
    for path in (Path(__file__), *sorted(folder.glob("*.py"))):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")
