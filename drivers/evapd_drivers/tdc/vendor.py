"""Vendors' shared libraries: loaded from the path that the configuration names, with every function's types declared.

None is shipped and none is searched for. A library that lacks a function is another library, or of another version.
"""

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from evapd.device.protocols import DriverConfig
from evapd.errors import DeviceIdentityError, DeviceLost

Signature = tuple[Any, ...]  # type of the result, then those of the arguments
_SCHEME = "library:"


class LibraryConfig(DriverConfig):
    """Settings: `connect` is `library:PATH` of the vendor's shared library."""

    @field_validator("connect")
    @classmethod
    def _library(cls, value: str) -> str:
        if not value.startswith(_SCHEME):
            raise ValueError("needs library:PATH, the vendor's shared library on this machine")
        return value

    @property
    def library(self) -> str:
        """Path of the library."""
        return self.connect.removeprefix(_SCHEME)


def load_library(path: str, signatures: Mapping[str, Signature]) -> Any:
    """Load a library and declare its functions.

    Args:
        path: of the shared library.
        signatures: by name of the function, the C type of its result and those of its arguments.

    Raises:
        DeviceLost: it is not there, or cannot be loaded.
        DeviceIdentityError: it lacks one of the functions.
    """
    try:
        library = ctypes.CDLL(path)
    except OSError as error:
        raise DeviceLost(
            f"library {path}: {error}; install the vendor's driver, and name its library in `connect`"
        ) from error
    missing = []
    for name, (result, *arguments) in signatures.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            missing.append(name)
            continue
        function.restype, function.argtypes = result, arguments
    if missing:
        raise DeviceIdentityError(
            f"library {path} has no {', '.join(missing)}: it is another vendor's, or of another version"
        )
    return library


def same_size(what: str, told: int, expected: int) -> None:
    """Check the size of a structure, in bytes, that a library tells.

    Raises:
        DeviceIdentityError: it is of another version than this driver knows; its data would be misread.
    """
    if told != expected:
        raise DeviceIdentityError(
            f"the library's {what} has {told} bytes, this driver knows {expected}: the library is of another version"
        )


def text(value: bytes | None) -> str:
    """Text of a C string that may be missing."""
    return (value or b"").decode("utf-8", "replace").strip()


def records(address: int, n: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Copy `n` records out of a library's memory, which is its own again when its function returns."""
    return np.frombuffer(ctypes.string_at(address, n * dtype.itemsize), dtype)
