"""Hooks of alarms for tests: a message, what sends it here, servers that take it or do not."""

import contextlib
import socket
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evapd.alarms import send
from evapd.alarms.delivery import Outcome
from evapd.alarms.messages import Message
from evapd.config.alarms import CommandHook, WebhookHook

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


def secret_file(tmp_path, text="s3cr3t-t0ken\n", mode=0o600):
    path = tmp_path / "secret"
    path.write_text(text)
    path.chmod(mode)
    return path


def self_signed(folder):
    """A certificate that nobody has signed but itself."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return folder / "cert.pem", context
