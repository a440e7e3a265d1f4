"""Mail: to everybody, encrypted where there is a password, and no title adds a header."""

import pytest

from evapd.alarms.delivery import deliver
from evapd.alarms.messages import Message
from evapd.config.alarms import EmailHook
from support.hooks import MESSAGE, secret_file, self_signed, sent
from support.smtp_server import SmtpServer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return self_signed(tmp_path_factory.mktemp("tls"))


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
