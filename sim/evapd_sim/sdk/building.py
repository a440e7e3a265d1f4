"""From C source to a shared library, with the machine's own compiler."""

import ctypes
import subprocess
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent
_FLAGS = ("-O2", "-std=c11", "-Wall", "-Werror", "-shared", "-fPIC", "-pthread")


def build(source: str, folder: Path) -> Path:
    """Compile one of the libraries below this package.

    Args:
        source: such as `cronologic/xhptdc8.c`.
        folder: where the library is put; one of the same name is taken as it is.

    Raises:
        subprocess.CalledProcessError: where the compiler does not take it; its words are in `stderr`.
    """
    made = folder / f"lib{Path(source).stem}.so"
    if not made.exists():
        command = ["cc", *_FLAGS, "-o", str(made), str(SOURCES / source)]
        subprocess.run(command, check=True, capture_output=True, text=True)
    return made


def opened(library: Path, **signatures: tuple[Any, ...]) -> Any:
    """Load a library for the simulation's own functions; `signatures` give result and arguments of each."""
    loaded = ctypes.CDLL(str(library))
    for name, (result, *arguments) in signatures.items():
        function = getattr(loaded, name)
        function.restype, function.argtypes = result, arguments
    return loaded
