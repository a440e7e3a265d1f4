import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evapd.alarms import send
from evapd.alarms.delivery import Outcome, deliver, secret_variables
from evapd.alarms.messages import TITLE_CHARACTERS, Message, Situation, compose
from evapd.alarms.model import Alarm
from evapd.config.alarms import CommandHook, EmailHook, WebhookHook
from support.rig_files import free_ports
from support.smtp_server import SmtpServer
from support.wait import wait_for

MESSAGE = Message(
    "[rig] ALARM arc: it arcs", "ALARM on rig: arc\nWhat: it arcs\n", {"title": "[rig] ALARM arc", "count": 1}
)


def sent(hook):
    """What the child that sends would do, in this process: an interpreter for each of these cases would be a minute."""
    message = {"title": MESSAGE.title, "text": MESSAGE.text, "document": MESSAGE.document}
    try:
        return Outcome(
            True,
            send.main(
                {"hook": hook.model_dump(mode="json"), "message": message, "timeout_s": hook.timeout_s}
            ),
        )
    except send.NotSent as error:
        return Outcome(False, send._line(str(error)))


def command(*argv, **more):
    return CommandHook(kind="command", argv=argv, **more)


def python(program, **more):
    return command(sys.executable, "-c", program, **more)


def webhook(url, **more):
    return WebhookHook(kind="webhook", url=url, **more)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, dict(self.headers), body))
        if self.path == "/hang":
            self.server.ending.wait(30.0)
        code = {"/500": 500, "/away": 302}.get(self.path, 204)
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def web_server(context=None):
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.got, server.ending = [], threading.Event()
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        server.url = f"http{'s' if context else ''}://127.0.0.1:{server.server_port}"
        yield server
    finally:
        server.ending.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def raw_server(answer):
    """A server that sends some bytes at once, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            with contextlib.suppress(OSError), listener.accept()[0] as peer:
                peer.settimeout(20.0)
                peer.recv(65536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate that nobody has signed but itself."""
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context


def secret_file(tmp_path, text="s3cr3t-t0ken\n", mode=0o600):
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


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


# Mail.


def email(server, **more):
    return EmailHook(**{"kind": "email", "host": "127.0.0.1", "port": server.port, "security": "none", "sender": "rig@example.org",
                        "to": ("a@example.org", "b@example.org"), "timeout_s": 5, **more})  # fmt: skip


def test_a_mail_reaches_everybody_with_title_and_text(tmp_path):
    with SmtpServer() as server:
        outcome = deliver(email(server), MESSAGE, tmp_path)
    assert outcome.ok, outcome
    (letter,) = server.letters
    assert letter.to == ["a@example.org", "b@example.org"]
    assert letter.message["Subject"] == MESSAGE.title
    assert "What: it arcs" in letter.message.get_content()


def test_a_mail_over_tls_logs_in_with_the_password_of_the_file(tmp_path, certificate):
    path, context = certificate
    for security in ("starttls", "tls"):
        with SmtpServer(context, security) as server:
            hook = email(
                server, security=security, ca_file=path, user="rig", password_file=secret_file(tmp_path)
            )
            outcome = sent(hook)
        assert outcome.ok, outcome
        assert server.logins == [("rig", "s3cr3t-t0ken")]


def test_no_password_goes_to_a_server_that_cannot_encrypt_or_that_nobody_vouches_for(tmp_path, certificate):
    with SmtpServer() as server:
        plain = deliver(
            email(server, security="starttls", user="u", password_file=secret_file(tmp_path)),
            MESSAGE,
            tmp_path,
        )
    with SmtpServer(certificate[1], "starttls") as other:
        foreign = deliver(
            email(other, security="starttls", user="u", password_file=secret_file(tmp_path)),
            MESSAGE,
            tmp_path,
        )
    assert (plain.ok, foreign.ok, server.logins, other.logins) == (False, False, [], [])


@pytest.mark.parametrize("fault", ["refuse-recipient", "refuse-data", "hang", "garbage", "close"])
def test_a_mail_server_with_a_fault_has_not_taken_it(tmp_path, fault):
    with SmtpServer(fault=fault) as server:
        outcome = sent(email(server, timeout_s=1))
    assert not outcome.ok
    assert outcome.what.isprintable()


def test_a_title_cannot_add_headers(tmp_path):
    with SmtpServer() as server:
        assert deliver(email(server), Message("a\r\nBcc: all@example.org\n\nbody", "text", {}), tmp_path).ok
    (letter,) = server.letters
    assert letter.message["Bcc"] is None
    assert letter.to == ["a@example.org", "b@example.org"]


@pytest.mark.parametrize("to", ["a@b\nc@d", "a@b,c@d", "A <a@b>", "a@", "@b", "a b@c", "a@b\r\nBcc: x@y"])
def test_an_address_that_is_more_than_one_is_refused(to):
    with pytest.raises(ValueError, match="mail address"):
        EmailHook(kind="email", host="h", sender="x@y", to=(to,))


# Texts.


def alarm(**changes):
    return Alarm(**{"id": 17, "name": "tdc-silent-long", "severity": "alarm", "what": "the TDC is silent for 5.0 s", "source": "guard",
                    "effect": "ramp_down", "lasting": True, "waits": True, "began_s": 0.0, "began_utc_s": 1.8e9, "active": True, **changes})  # fmt: skip


SITUATION = Situation(
    rig="demo",
    folder="/var/lib/evapd",
    energy_state="ramping_down",
    v_dc_v=2310.4,
    run="r1",
    run_state="running",
    hits=12,
)


def test_a_person_woken_at_night_reads_what_since_when_what_was_done_and_what_to_do():
    text = compose("alarm", [alarm()], SITUATION, 65.0).text
    for words in ("the TDC is silent", "2027-01-15 08:00:00 UTC, 65 s ago", "ramped down", "ramping_down, V_dc 2310 V", "12 hits",
                  "evapd alarms ack 17 --folder /var/lib/evapd", "evapd abort"):  # fmt: skip
        assert words in text


def test_what_is_not_known_is_said_and_not_guessed():
    text = compose("alarm", [alarm(name="guard-gone", effect="")], Situation(rig="r", folder="f"), 1.0).text
    assert "the guard does not answer" in text
    assert "switch the specimen supply off by hand" in text
    assert "V_dc" not in text.partition("Energy:")[2].partition("\n")[0]


def test_others_are_named_and_counted():
    message = compose(
        "alarm", [alarm(), *[alarm(id=n, name=f"other-{n}") for n in range(37)]], SITUATION, 1.0
    )
    assert "and 37 more" in message.title
    assert "Also:    37 more: other-0" in message.text


@given(st.text(st.characters(), max_size=3000), st.text(max_size=200))
def test_no_text_whatever_breaks_a_title_or_steers_a_terminal(what, name):
    message = compose("alarm", [alarm(what=what, name=name)], SITUATION, 1.0)
    assert len(message.title) <= TITLE_CHARACTERS
    assert message.title.isprintable()
    assert message.text.replace("\n", "").isprintable()
    assert len(message.text) < 7_000


def test_a_secret_in_the_environment_is_asked_for_by_name():
    os.environ.pop("NOT_SET_ANYWHERE", None)
    hook = webhook("https://127.0.0.1:1/", token_env="NOT_SET_ANYWHERE")
    assert "NOT_SET_ANYWHERE is not set" in sent(hook).what
