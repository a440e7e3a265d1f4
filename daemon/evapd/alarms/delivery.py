"""Carries one message through one hook: always a child process with a deadline, whose whole group is ended afterwards."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evapd.alarms.messages import Message
from evapd.config.alarms import CommandHook, Hook

_MOST_OUTPUT = 4_000
_START_S = 5.0  # an interpreter on a busy machine; not counted against the hook's own time
_TURN_S = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it, in words."""

    ok: bool
    what: str
    took_s: float = 0.0


def secret_variables(hooks: Mapping[str, Hook]) -> frozenset[str]:
    """Name the variables that hold secrets of hooks: no command is given them."""
    named = (
        getattr(hook, key, None)
        for hook in hooks.values()
        for key in ("url_env", "token_env", "password_env")
    )
    return frozenset(name for name in named if name)


def deliver(hook: Hook, message: Message, base: Path, hidden: frozenset[str] = frozenset()) -> Outcome:
    """Send a message; returns within the hook's time and a little. Never raises for what the other side does.

    Args:
        hook: which way.
        message: what.
        base: folder of the rig file, to which paths in it are relative.
        hidden: variables that a command does not get.
    """
    own = isinstance(hook, CommandHook)
    if isinstance(hook, CommandHook):
        argv, limit_s = list(hook.argv), hook.timeout_s
        content: dict[str, Any] = message.document
        env = {name: value for name, value in os.environ.items() if name not in hidden}
    else:
        argv, limit_s = [sys.executable, "-m", "evapd.alarms.send"], hook.timeout_s + _START_S
        content = {
            "hook": _absolute(hook.model_dump(mode="json"), base),
            "message": {"title": message.title, "text": message.text, "document": message.document},
            "timeout_s": hook.timeout_s,
        }
        env = dict(os.environ)
    began_s = time.monotonic()
    try:
        child = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, env=env, cwd=base,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        return Outcome(False, f"{argv[0]} cannot be started: {getattr(error, 'strerror', None) or error}")
    with child:
        try:
            said = _talk(child, json.dumps(content).encode(), began_s + limit_s)
        finally:
            # Also what a command left in the background: nobody would ever end it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
    took_s = time.monotonic() - began_s
    if said is None:
        return Outcome(False, f"not done within {hook.timeout_s:g} s, ended", took_s)
    text = _line(said)
    if child.returncode:
        ended = (
            f"ended by signal {-child.returncode}"
            if child.returncode < 0
            else f"exit code {child.returncode}"
        )
        return Outcome(False, f"{ended}: {text}" if own or not text else text, took_s)
    return Outcome(True, text or "done", took_s)


def _absolute(hook: dict[str, Any], base: Path) -> dict[str, Any]:
    return {
        key: str(base / value) if value and key.endswith("_file") else value for key, value in hook.items()
    }


def _talk(child: subprocess.Popen[bytes], content: bytes, until_s: float) -> bytes | None:
    """Give the child its input and take its first words, until it has ended; None when it did not in time."""
    assert child.stdin is not None  # noqa: S101 - both are pipes
    assert child.stdout is not None  # noqa: S101
    left, said = memoryview(content), bytearray()
    with selectors.DefaultSelector() as selector:
        for pipe, event in ((child.stdin, selectors.EVENT_WRITE), (child.stdout, selectors.EVENT_READ)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, event)
        while child.poll() is None:
            if time.monotonic() >= until_s:
                return None
            for key, _ in selector.select(_TURN_S):
                if key.fileobj is child.stdin:
                    left = _give(child, selector, left)
                elif not _take(child, said):
                    selector.unregister(child.stdout)
            if not selector.get_map():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_TURN_S)
        _take(child, said)
    return bytes(said)


def _give(child: subprocess.Popen[bytes], selector: selectors.BaseSelector, left: memoryview) -> memoryview:
    assert child.stdin is not None  # noqa: S101
    try:
        left = left[os.write(child.stdin.fileno(), left) :]
    except BlockingIOError:
        return left
    except OSError:
        left = left[:0]  # a command need not read what it is told
    if not left:
        selector.unregister(child.stdin)
        with contextlib.suppress(OSError):
            child.stdin.close()
    return left


def _take(child: subprocess.Popen[bytes], said: bytearray) -> bool:
    """Take what it says, keep the beginning; False when there will be no more."""
    assert child.stdout is not None  # noqa: S101
    try:
        data = os.read(child.stdout.fileno(), 65_536)
    except BlockingIOError:
        return True
    said += data[: _MOST_OUTPUT - len(said)]
    return bool(data)


def _line(said: bytes) -> str:
    text = " ".join(said.decode(errors="replace").split())
    return "".join(one if one.isprintable() else "?" for one in text)[:500]
