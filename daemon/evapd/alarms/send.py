"""`python -m evapd.alarms.send`: one webhook or mail, asked for on standard input as JSON.

A process of its own, so that a name server or a peer that hangs can be ended from outside at any moment. Exit code 0: sent;
1: not, with the reason in one line on standard error.
"""

import json
import os
import re
import smtplib
import ssl
import sys
import urllib.error
import urllib.request
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid
from http.client import HTTPException
from pathlib import Path
from typing import Any

from evapd.alarms.secrets import read_secret
from evapd.errors import ConfigError
from evapd.webaddress import check_url

_MOST_REPLY = 2_000


class NotSent(Exception):
    """Why it was not."""


def _path(hook: dict[str, Any], key: str) -> Path | None:
    return Path(hook[key]) if hook.get(key) else None


def _tls(hook: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=hook.get("ca_file") or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def post(hook: dict[str, Any], document: dict[str, Any], timeout_s: float) -> str:
    """POST the document; gives what the server said.

    Raises:
        NotSent: when the server did not take it.
    """
    url = hook.get("url") or read_secret(_path(hook, "url_file"), hook.get("url_env"), os.environ) or ""
    token = read_secret(_path(hook, "token_file"), hook.get("token_env"), os.environ)
    try:
        check_url(url, secret=token is not None)
    except ValueError as error:
        raise NotSent(str(error)) from None
    headers = {
        "User-Agent": "evapd",
        **hook.get("headers", {}),
        "Content-Type": "application/json; charset=utf-8",
    }
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    proxy = hook.get("proxy")
    # Without a handler of redirects: one would carry the token to somebody that the rig file does not name.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {}),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_tls(hook)),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, json.dumps(document).encode(), headers, method="POST")  # noqa: S310 - http and https only, checked above
    try:
        with opener.open(request, timeout=timeout_s) as reply:
            reply.read(_MOST_REPLY)
            return f"the server answered {reply.status}"
    except urllib.error.HTTPError as error:
        with error:
            moved = ": redirects are not followed, name the final address" if 300 <= error.code < 400 else ""
            raise NotSent(f"the server answered {error.code} {error.reason}{moved}") from None


def mail(hook: dict[str, Any], title: str, text: str, timeout_s: float) -> str:
    """Send a mail; gives what the server said.

    Raises:
        NotSent: when the server did not take it for everybody.
    """
    password = read_secret(_path(hook, "password_file"), hook.get("password_env"), os.environ)
    letter = EmailMessage(policy=SMTP)
    letter["Subject"], letter["From"], letter["To"] = (
        " ".join(title.split()),
        hook["sender"],
        ", ".join(hook["to"]),
    )
    letter["Date"], letter["Message-ID"] = formatdate(), make_msgid(domain=hook["sender"].rpartition("@")[2])
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(text)
    place, context = (hook["host"], hook["port"]), _tls(hook)
    server = (
        smtplib.SMTP_SSL(*place, timeout=timeout_s, context=context)
        if hook["security"] == "tls"
        else smtplib.SMTP(*place, timeout=timeout_s)
    )
    with server:
        if hook["security"] == "starttls":
            server.starttls(context=context)
        if password is not None:
            server.login(hook["user"], password)
        refused = server.send_message(letter)
    if refused:
        raise NotSent(f"refused for {', '.join(refused)}")
    return f"the server took it for {', '.join(hook['to'])}"


def main(asked: dict[str, Any]) -> str:
    """Do what was asked for; gives what came of it.

    Raises:
        NotSent: when nothing was sent, or not to everybody.
    """
    hook, message, timeout_s = asked["hook"], asked["message"], float(asked["timeout_s"])
    try:
        if hook["kind"] == "webhook":
            return post(hook, message["document"], timeout_s)
        return mail(hook, message["title"], message["text"], timeout_s)
    except ConfigError as error:
        raise NotSent(str(error)) from None
    except ssl.SSLError as error:
        raise NotSent(f"no trusted connection: {error}; look at certificate and ca_file") from None
    except smtplib.SMTPResponseException as error:
        raise NotSent(f"the mail server answered {error.smtp_code} {error.smtp_error!r:.200}") from None
    except (OSError, HTTPException, smtplib.SMTPException) as error:
        why = getattr(error, "reason", None) or error
        raise NotSent(f"{type(why).__name__}: {why}") from None


def _line(text: str) -> str:
    """One printable line; an address may be a secret, so none is repeated."""
    text = re.sub(r"https?://\S+", "(the address)", text)
    return "".join(one if one.isprintable() else " " for one in text)[:500]


if __name__ == "__main__":
    try:
        sys.stdout.write(_line(main(json.load(sys.stdin))) + "\n")
    except NotSent as error:
        sys.stderr.write(_line(str(error)) + "\n")
        sys.exit(1)
