"""Tokens of viewers who are not on the daemon's own machine: names, roles and digests in a file; never the tokens themselves."""

import hashlib
import os
import secrets
import stat
from pathlib import Path

import yaml

from evapd.errors import ConfigError
from evapd.security.roles import Role

_TOKEN_BYTES = 32


class Tokens:
    """Who has which token; the file is read again when it has changed, so that a token can be taken back at once.

    Args:
        path: YAML: a list of `name`, `role` (`read` or `operate`), `sha256` of the token in hexadecimal digits.

    Raises:
        ConfigError: when the file is missing, readable by others, or not of that form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int, int] | None = None
        self._found: dict[str, tuple[str, Role]] = {}
        self._read()

    def find(self, token: str) -> tuple[str, Role] | None:
        """Give name and role of a token; None when it is not valid, or the file has become unreadable."""
        try:
            self._read()
        except ConfigError:
            return None
        # Looked up by its digest: how long that takes tells nothing of the token.
        return self._found.get(_digest(token))

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                info = os.fstat(file.fileno())
                stamp = (info.st_ino, info.st_mtime_ns, info.st_size)
                if stamp == self._stamp:
                    return
                if info.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise ConfigError(f"{self.path}: others may read it; chmod 600 {self.path}")
                listed = yaml.safe_load(file.read(1_000_000)) or []
        except (OSError, yaml.YAMLError) as error:
            raise ConfigError(
                f"{self.path}: the tokens cannot be read ({error}); make one with evapd web-token"
            ) from error
        try:
            found = {str(one["sha256"]): (str(one["name"]), Role(one["role"])) for one in listed}
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"{self.path}: each entry has name, role (read or operate) and sha256"
            ) from error
        self._found, self._stamp = found, stamp


def new_token(path: Path, name: str, role: Role) -> str:
    """Add a token to a file, which is made where it is missing; gives the token, which is kept nowhere.

    Raises:
        ConfigError: when the file is not valid, readable by others, or has that name already.
    """
    listed: list[dict[str, str]] = []
    if path.exists():
        Tokens(path)
        listed = yaml.safe_load(path.read_text()) or []
    if any(one["name"] == name for one in listed):
        raise ConfigError(f"{path}: there is a token named {name!r} already; remove its entry first")
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    listed.append({"name": name, "role": str(role), "sha256": _digest(token)})
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            yaml.safe_dump(listed, file, sort_keys=False)
        part.replace(path)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from error
    return token


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
