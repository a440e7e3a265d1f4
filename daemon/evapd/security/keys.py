"""CURVE keys: pairs that prove who somebody is, in files that only their owner reads (docs/security.md).

A key is 32 bytes, written as 40 characters of Z85 (ZeroMQ RFC 32). A folder of keys holds for the daemon `server.key`
(secret) and `server.pub`, for a client `client.key` (secret), `client.pub` and the daemon's `server.pub`.
"""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import zmq

from evapd.errors import ConfigError
from evapd.security.files import PUBLIC, private_folder, read_private, read_public, write_new

KEY_LENGTH = 40
VARIABLE = "EVAPD_KEYS"
"""Names the folder of keys of a client that was told no other."""
SERVER, CLIENT = "server", "client"
_Z85 = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")
_LINE = re.compile(r"(public|secret): '([^']*)'")


class Secret:
    """A secret key; shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_text",)

    def __init__(self, text: bytes) -> None:
        self._text = text

    def reveal(self) -> bytes:
        """Give the 40 characters, for libzmq only."""
        return self._text

    def __repr__(self) -> str:
        return "<secret key>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a secret key is not copied into other processes or files")


def is_key(text: str) -> bool:
    """Whether a text is a key: 40 characters of Z85 that stand for 32 bytes."""
    return _Z85.fullmatch(text) is not None and _fits(text)


def _fits(text: str) -> bool:
    """Whether every five characters stand for a number below 2**32, as Z85 demands."""
    digits = {character: value for value, character in enumerate(_ALPHABET)}
    for start in range(0, KEY_LENGTH, 5):
        number = 0
        for character in text[start : start + 5]:
            number = 85 * number + digits[character]
        if number >= 2**32:
            return False
    return True


_ALPHABET = (
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"  # ZeroMQ RFC 32
)


@dataclass(frozen=True, slots=True)
class ServerKeys:
    """The daemon's own pair; `public` is what clients know it by, as 40 ASCII characters of Z85."""

    public: bytes
    secret: Secret = field(repr=False)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read `server.key` in a folder of keys.

        Raises:
            ConfigError: when it is missing, damaged, or readable by others.
        """
        folder = Path(folder)
        with private_folder(folder) as opened:
            return cls(*_read_pair(opened, folder / f"{SERVER}.key"))


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """A client's own pair, and the public key of the daemon that it wants to reach."""

    public: bytes
    server: bytes
    secret: Secret = field(repr=False)

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read `client.key` and `server.pub` in a folder of keys; in the daemon's own folder, its own pair.

        Who has the daemon's secret key is the daemon, or its administrator: that key is let in as an operator's.

        Raises:
            ConfigError: when something is missing, damaged, or readable by others.
        """
        folder = Path(folder)
        with private_folder(folder) as opened:
            try:
                public, secret = _read_pair(opened, folder / f"{CLIENT}.key")
            except FileNotFoundError:
                public, secret = _read_pair(opened, folder / f"{SERVER}.key")
                return cls(public, public, secret)
            return cls(public, read_public_key(opened, folder / f"{SERVER}.pub"), secret)


def make_pair(folder: int, path: Path) -> str:
    """Make a new pair as NAME.key and NAME.pub in an opened folder; gives the public key.

    The public key begins with a letter or digit, so that no command takes it for an option.

    Raises:
        ConfigError: when there is one already.
    """
    public, secret = zmq.curve_keypair()
    while not public[:1].isalnum():
        public, secret = zmq.curve_keypair()
    head = "# evapd key pair, CURVE, Z85. SECRET: whoever has this file is let in as you are."
    text = f"{head}\npublic: '{public.decode()}'\nsecret: '{secret.decode()}'\n"
    write_new(folder, path.with_suffix(".key"), text)
    write_new(folder, path.with_suffix(".pub"), f"{public.decode()}\n", PUBLIC)
    return public.decode()


def read_public_key(folder: int, path: Path) -> bytes:
    """Read a file with one public key.

    Raises:
        ConfigError: when it is missing or holds something else.
    """
    try:
        text = read_public(folder, path).strip("\n")
    except FileNotFoundError:
        raise ConfigError(
            f"{path} is missing: copy the daemon's server.pub there, which `evapd keys list` shows on its machine"
        ) from None
    if not is_key(text):
        raise ConfigError(f"{path} does not hold a public key, which is one line of 40 characters (Z85)")
    return text.encode()


def _read_pair(folder: int, path: Path) -> tuple[bytes, Secret]:
    """Read a pair and see that its halves belong together; no message repeats what the file holds."""
    try:
        lines = read_private(folder, path).splitlines()
    except FileNotFoundError:
        if path.name == f"{CLIENT}.key":
            raise
        raise ConfigError(f"{path} is missing: make one with `evapd keys new`") from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is not None and match[1] not in found and is_key(match[2]):
            found[match[1]] = match[2]
        elif line and not line.startswith("# "):
            raise ConfigError(
                f"{path}:{number}: not a line of a key file, which are public: '...' and secret: '...', "
                f"each once and with {KEY_LENGTH} characters (Z85)"
            )
    if set(found) != {"public", "secret"}:
        raise ConfigError(f"{path} is not whole: a key file has a public and a secret key")
    public, secret = found["public"].encode(), found["secret"].encode()
    if zmq.curve_public(secret) != public:
        raise ConfigError(
            f"{path}: public and secret key do not belong together; make a new pair in another folder"
        )
    return public, Secret(secret)


def keys_from_environment() -> ClientKeys | None:
    """Read the keys in the folder that `EVAPD_KEYS` names; None without it.

    Raises:
        ConfigError: when something there is missing, damaged, or readable by others.
    """
    folder = os.environ.get(VARIABLE, "")
    return ClientKeys.load(Path(folder).expanduser()) if folder else None
