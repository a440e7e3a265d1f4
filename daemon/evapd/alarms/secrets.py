"""Secrets of hooks: from a file that only its owner can read, or from the environment; never from the rig file, never logged."""

import os
from collections.abc import Mapping
from pathlib import Path

from evapd.errors import ConfigError
from evapd.security.files import read_private


def read_secret(path: Path | None, variable: str | None, environ: Mapping[str, str]) -> str | None:
    """Give the secret, None where neither a file nor a variable is named.

    Raises:
        ConfigError: when it is not there, others can read the file, or it is empty; the text does not repeat it.
    """
    if variable is not None:
        if not environ.get(variable):
            raise ConfigError(
                f"the variable {variable} is not set, or empty, in the environment of this process"
            )
        return environ[variable]
    if path is None:
        return None
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    try:
        text = read_private(folder, path).strip()
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist") from None
    finally:
        os.close(folder)
    if not text or not text.isprintable():
        raise ConfigError(f"{path} is empty, or has more than one line: it must hold the secret alone")
    return text
