"""A link to an instrument that sends back what it is sent before it answers: the only handshake of some serial lines."""

from evapd.device.link import Link
from evapd.errors import DeviceProtocolError


class EchoLink(Link):
    """As `Link`, and where `echoes` is set each echo is compared with what was sent."""

    echoes = False

    def ask(self, data: bytes) -> bytes:
        """Send a question, compare the echo, give the one line that answers it, all within one deadline."""
        deadline_s = self.clock() + self.timeout_s
        self.tell(data)
        return self.line(timeout_s=max(0.0, deadline_s - self.clock()))

    def tell(self, data: bytes) -> None:
        """Send what has no answer, and compare the echo.

        Raises:
            DeviceProtocolError: when it differs: the instrument may have understood another number.
        """
        self.send(data)
        echo = self.line(alone=False) if self.echoes else data
        if echo.strip() != data.strip():
            raise DeviceProtocolError(f"{data!r} came back as {echo!r}: is the line noisy?")

    def greet(self, data: bytes) -> bytes:
        """Ask for the first time, and see whether it echoes."""
        self.echoes, line = heard_out(self, data)
        return line


def heard_out(link: Link, data: bytes) -> tuple[bool, bytes]:
    """Ask an instrument of which nobody knows yet whether it echoes; give whether it does, and the line behind the echo."""
    link.send(data)
    first = link.line(alone=False)
    echoes = first.strip() == data.strip()
    return echoes, link.line(alone=False) if echoes else first
