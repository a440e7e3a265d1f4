"""What `evapd keys` does in a folder of keys; secrets go in, only public things come out."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from evapd.errors import ConfigError
from evapd.security.allowed import FILE_NAME, HEAD, Allowed, check_name, parse
from evapd.security.files import PUBLIC, private_folder, read_private, replace, write_new
from evapd.security.keys import (
    CLIENT,
    SERVER,
    VARIABLE,
    ClientKeys,
    ServerKeys,
    is_key,
    make_pair,
    read_public_key,
)
from evapd.security.roles import Role


def new_server(folder: Path) -> str:
    """Make the daemon's pair and an empty allow-list; gives the public key.

    Raises:
        ConfigError: when there is one already, or others can get at the folder.
    """
    with private_folder(folder, make=True) as opened:
        public = make_pair(opened, folder / SERVER)
        write_new(opened, folder / FILE_NAME, HEAD)
    return public


def new_client(folder: Path, server: str | None) -> str:
    """Make a client's pair, and keep the daemon's public key beside it; gives the client's public key.

    Args:
        folder: Where to; made with mode 0700 where it is missing.
        server: The daemon's public key, or a file with it; None when it is copied there later.

    Raises:
        ConfigError: when there is one already, or others can get at the folder.
    """
    trusted = None if server is None else public_key(server)
    with private_folder(folder, make=True) as opened:
        public = make_pair(opened, folder / CLIENT)
        if trusted is not None:
            write_new(opened, folder / f"{SERVER}.pub", f"{trusted}\n", PUBLIC)
    return public


def public_key(key: str) -> str:
    """Accept a public key of 40 characters, or the path of a file with one.

    Raises:
        ConfigError: when it is neither.
    """
    if is_key(key):
        return key
    path = Path(key)
    try:
        text = path.read_text(encoding="ascii").strip() if path.is_file() else ""
    except (OSError, ValueError):
        text = ""
    if not is_key(text):
        raise ConfigError(
            "this is neither a public key (40 characters of Z85, in single quotes for the shell) nor a file with one"
        )
    return text


def allow(folder: Path, key: str, name: str, role: Role) -> bool:
    """Put a client on the list, or give it another role; says whether something changed.

    Raises:
        ConfigError: when the name has another key, or the key another name.
    """
    entry = Allowed(check_name(name), role, public_key(key))
    with _listed(folder) as (opened, path, lines):
        own = read_public_key(opened, folder / f"{SERVER}.pub").decode()
        if entry.key == own:
            raise ConfigError("this is the daemon's own key, which is let in without being on the list")
        known, _ = parse("\n".join(lines), str(path))
        for other in known:
            if other == entry:
                return False
            if (other.name == name) != (other.key == entry.key):
                taken = (
                    f"the name {name} has another key"
                    if other.name == name
                    else f"the key is that of {other.name}"
                )
                raise ConfigError(f"{taken}: `evapd keys remove {other.name}` first")
        kept = [line for line in lines if line.split()[:1] != [name]]
        replace(opened, path, "".join(f"{line}\n" for line in [*kept, entry.line]))
    return True


def remove(folder: Path, name: str) -> None:
    """Take a client from the list.

    Raises:
        ConfigError: when it is not there.
    """
    with _listed(folder) as (opened, path, lines):
        kept = [line for line in lines if line.split()[:1] != [check_name(name)]]
        if len(kept) == len(lines):
            raise ConfigError(f"{path} has no client {name}: see `evapd keys list`")
        replace(opened, path, "".join(f"{line}\n" for line in kept))


def listing(folder: Path) -> dict[str, Any]:
    """Tell what a folder holds: public keys, clients and what is wrong; never a secret.

    Raises:
        ConfigError: when there is neither a daemon's nor a client's pair that can be used.
    """
    with private_folder(folder) as opened:
        try:
            text = read_private(opened, folder / FILE_NAME)
        except FileNotFoundError:
            keys = ClientKeys.load(folder)
            return {"kind": CLIENT, "public": keys.public.decode(), "server": keys.server.decode()}
        entries, problems = parse(text, str(folder / FILE_NAME))
    clients = [{"name": entry.name, "role": str(entry.role), "key": entry.key} for entry in entries]
    public = ServerKeys.load(folder).public.decode()
    return {"kind": SERVER, "public": public, "clients": clients, "problems": problems}


@contextmanager
def _listed(folder: Path) -> Iterator[tuple[int, Path, list[str]]]:
    """Open the list for a change: descriptor of the folder, path of the list, its lines; one program at a time."""
    path = folder / FILE_NAME
    with private_folder(folder) as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        try:
            lines = read_private(opened, path).splitlines()
        except FileNotFoundError:
            raise ConfigError(
                f"{path} is missing: this is not a daemon's folder of keys; name it with --keys or {VARIABLE}, or make "
                "one with `evapd keys new`"
            ) from None
        yield opened, path, lines
