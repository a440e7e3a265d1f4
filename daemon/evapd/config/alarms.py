"""The section `alarms` of a rig: who is told of what, how soon, and how often. Secrets stand in files or variables, never here."""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from evapd.config.section import Section
from evapd.units import Second
from evapd.webaddress import check_url, is_loopback

Severity = Literal["info", "warning", "alarm"]
HookName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
VariableName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,99}$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=4096, pattern=r"^[^\x00]*$")]
_MAILBOX = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,60}")
_HEADER_TEXT = re.compile(r"[ -~]{0,1000}")


def _mailbox(text: str) -> str:
    if not _MAILBOX.fullmatch(text):
        raise ValueError(f"{text[:80]!r} is not a plain mail address such as name@example.org")
    return text


Mailbox = Annotated[str, AfterValidator(_mailbox)]


class Hook(Section):
    """What every way of telling people has in common; docs/alarms.md explains it with examples."""

    severity_min: Severity = "alarm"
    only: tuple[str, ...] = ()  # names of alarms, `evapd alarms names` lists them; all, where it is empty
    delay_s: Annotated[Second, Field(ge=0, le=86400)] = (
        0.0  # escalation: only what nobody acknowledged until then
    )
    repeat_s: Annotated[Second, Field(ge=60, le=86400)] | None = None  # told again until acknowledged
    quiet_s: Annotated[Second, Field(ge=1, le=86400)] = 300.0  # the same alarm is not told anew within this
    max_per_hour: Annotated[int, Field(ge=1, le=600)] = 20  # what is more comes in one message later
    recovery: bool = True  # tell when it is over
    timeout_s: Annotated[Second, Field(ge=1, le=120)] = 15.0


class CommandHook(Hook):
    """A program that gets the message as JSON on its standard input."""

    kind: Literal["command"]
    argv: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)]  # no shell


class WebhookHook(Hook):
    """A POST of the message as JSON. Exactly one of url, url_file and url_env; a URL that is a secret stands in a file."""

    kind: Literal["webhook"]
    url: str | None = None
    url_file: Path | None = None
    url_env: VariableName | None = None
    token_file: Path | None = None  # sent as `Authorization: Bearer`
    token_env: VariableName | None = None
    headers: dict[str, str] = Field(default_factory=dict)  # no secrets
    ca_file: Path | None = None
    proxy: str | None = None

    @model_validator(mode="after")
    def _one_address(self) -> Self:
        if sum(one is not None for one in (self.url, self.url_file, self.url_env)) != 1:
            raise ValueError("a webhook needs exactly one of url, url_file and url_env")
        if self.token_file is not None and self.token_env is not None:
            raise ValueError("a webhook has a token_file or a token_env, not both")
        for name, text in self.headers.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_TEXT.fullmatch(text)):
                raise ValueError(
                    f"headers: '{name[:60]}' is no header, or its value has more than printable ASCII"
                )
        if self.url is not None:
            check_url(self.url, secret=self.token_file is not None or self.token_env is not None)
        return self


class EmailHook(Hook):
    """A mail. The password stands in a file that only its owner can read, or in a variable."""

    kind: Literal["email"]
    host: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.:-]{1,253}$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_file: Path | None = None
    password_env: VariableName | None = None
    sender: Mailbox
    to: Annotated[tuple[Mailbox, ...], Field(min_length=1, max_length=50)]
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        passwords = sum(one is not None for one in (self.password_file, self.password_env))
        if passwords != (self.user is not None):
            raise ValueError("an email hook with a user needs password_file or password_env, and only then")
        if self.security == "none" and not is_loopback(self.host):
            raise ValueError("security: none is allowed to this machine only; write starttls or tls")
        return self


AnyHook = Annotated[CommandHook | WebhookHook | EmailHook, Field(discriminator="kind")]


class AlarmsSection(Section):
    """Who is told when something is wrong; `evapd run` starts the process that does it where there are hooks."""

    hooks: dict[HookName, AnyHook] = Field(default_factory=dict)
    silent_s: Annotated[Second, Field(ge=1, le=600)] = (
        3.0  # acquire or guard without an answer for so long is gone
    )
