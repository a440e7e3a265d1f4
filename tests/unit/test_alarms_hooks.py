"""Hooks: commands and webhooks, what they are given, and every way in which they fail."""

import json
import time
from pathlib import Path

import pytest

from evapd.alarms.delivery import deliver, secret_variables
from evapd.alarms.messages import Message
from evapd.config.alarms import WebhookHook
from support.hooks import (
    MESSAGE,
    command,
    python,
    raw_server,
    secret_file,
    self_signed,
    sent,
    web_server,
    webhook,
)
from support.rig_files import free_ports
from support.wait import wait_for


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


# Commands.


def test_a_command_gets_the_message_as_json_on_its_standard_input(tmp_path):
    outcome = deliver(python("import json,sys; print(json.load(sys.stdin)['title'])"), MESSAGE, tmp_path)
    assert outcome.ok
    assert outcome.what == MESSAGE.document["title"]


def test_no_shell_reads_a_command(tmp_path):
    assert deliver(command("/bin/echo", "$HOME; touch here"), MESSAGE, tmp_path).what == "$HOME; touch here"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("hook", "words"),
    [(command("/does/not/exist"), "cannot be started"), (command("/bin/false"), "exit code 1"),
     (python("import os; os.kill(os.getpid(), 11)"), "ended by signal 11"), (python("raise SystemExit('no \\x1b[2J money')"), "exit code 1: no ?[2J money")],
)  # fmt: skip
def test_a_command_that_fails_is_told_in_one_plain_line(tmp_path, hook, words):
    outcome = deliver(hook, MESSAGE, tmp_path)
    assert not outcome.ok
    assert words in outcome.what
    assert outcome.what.isprintable()


def test_a_command_that_hangs_is_ended_with_all_it_started(tmp_path):
    program = f"import subprocess,time; print(subprocess.Popen(['/bin/sleep','60']).pid, file=open({str(tmp_path / 'pid')!r},'w'), flush=True); time.sleep(60)"
    began_s = time.monotonic()
    outcome = deliver(python(program, timeout_s=4), MESSAGE, tmp_path)
    assert not outcome.ok
    assert "not done within 4 s" in outcome.what
    assert time.monotonic() - began_s < 50.0
    left = int((tmp_path / "pid").read_text())
    wait_for(lambda: not _lives(left), "the grandchild to end")


def _lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_command_that_floods_costs_no_memory(tmp_path):
    outcome = deliver(
        python("import sys\nfor _ in range(2000): sys.stdout.write('x'*10000)"), MESSAGE, tmp_path
    )
    assert outcome.ok
    assert len(outcome.what) <= 500


def test_a_command_that_reads_nothing_gets_no_broken_pipe(tmp_path):
    large = Message("t", "x", {"text": "y" * 1_000_000})
    assert deliver(command("/bin/true"), large, tmp_path).ok


def test_a_command_does_not_get_the_secrets_of_other_hooks(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGER_TOKEN", "s3cr3t")
    hidden = secret_variables(
        {"w": WebhookHook(kind="webhook", url="https://x.org", token_env="PAGER_TOKEN")}
    )
    outcome = deliver(python("import os; print(os.environ.get('PAGER_TOKEN'))"), MESSAGE, tmp_path, hidden)
    assert outcome.what == "None"


# Webhooks.


def test_a_webhook_posts_the_document_with_its_token(tmp_path):
    with web_server() as server:
        outcome = deliver(
            webhook(f"{server.url}/in", token_file=secret_file(tmp_path), headers={"X-Rig": "a"}),
            MESSAGE,
            tmp_path,
        )
    assert outcome.ok, outcome
    ((path, headers, body),) = server.got
    assert (path, json.loads(body)) == ("/in", MESSAGE.document)
    assert (headers["Authorization"], headers["X-Rig"]) == ("Bearer s3cr3t-t0ken", "a")


def test_the_address_itself_may_be_a_secret(tmp_path):
    with web_server() as server:
        path = secret_file(tmp_path, f"{server.url}/hidden-path")
        assert sent(WebhookHook(kind="webhook", url_file=path)).ok
        path.write_text("http://127.0.0.1:1/hidden-path")
        assert "hidden" not in sent(WebhookHook(kind="webhook", url_file=path)).what
    assert server.got[0][0] == "/hidden-path"


@pytest.mark.parametrize(("path", "words"), [("/500", "500"), ("/away", "redirects are not followed")])
def test_a_server_that_refuses_or_sends_us_elsewhere_has_not_taken_it(tmp_path, path, words):
    with web_server() as server:
        outcome = sent(webhook(server.url + path))
    assert not outcome.ok
    assert words in outcome.what


def test_a_server_that_hangs_is_left_after_its_time(tmp_path):
    with web_server() as server:
        outcome = deliver(webhook(server.url + "/hang", timeout_s=1), MESSAGE, tmp_path)
    assert not outcome.ok


@pytest.mark.parametrize("answer", [b"", b"\x00\xff" * 100, b"HTTP/1.1 999999 x\r\n\r\n", b"SSH-2.0-x\r\n"])
def test_a_server_that_answers_garbage_has_not_taken_it(tmp_path, answer):
    with raw_server(answer) as url:
        outcome = sent(webhook(url))
    assert not outcome.ok
    assert outcome.what.isprintable()


def test_nobody_there_and_no_such_name_are_told_plainly(tmp_path):
    refused = sent(webhook(f"http://127.0.0.1:{free_ports(1)[0]}/"))
    unknown = sent(webhook("http://no-such-host.invalid/", timeout_s=5))
    assert "refused" in refused.what
    assert not unknown.ok


def test_a_certificate_that_nobody_vouches_for_is_refused_unless_the_rig_file_names_it(tmp_path, certificate):
    path, context = certificate
    with web_server(context) as server:
        refused = sent(webhook(server.url + "/in"))
        taken = sent(webhook(server.url + "/in", ca_file=path))
    assert (refused.ok, taken.ok) == (False, True)
    assert "certificate" in refused.what.lower()


@pytest.mark.parametrize(
    ("mode", "text", "words"),
    [(0o644, "token", "chmod 600"), (0o600, "", "empty"), (0o600, "a\nb", "more than one line")],
)
def test_a_secret_that_others_can_read_or_that_is_none_is_refused(tmp_path, mode, text, words):
    hook = webhook("http://127.0.0.1:1/", token_file=secret_file(tmp_path, text, mode))
    assert words in sent(hook).what


@pytest.mark.parametrize(
    "url",
    [
        "ftp://x",
        "http://user:pass@x/",
        "http://x/\r\nHost: y",
        "https://",
        "file:///etc/passwd",
        "http://[::1",
        "http://x/ä",
    ],
)
def test_an_address_that_is_none_is_refused_in_the_rig_file(url):
    with pytest.raises(ValueError, match="webhook"):
        webhook(url)


def test_a_token_goes_unencrypted_to_this_machine_only():
    with pytest.raises(ValueError, match="unencrypted"):
        webhook("http://example.org/", token_env="TOKEN")
