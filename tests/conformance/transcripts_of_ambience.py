"""How transcripts of gauges and thermometers are decoded: taken up by test_driver_transcripts.py."""

from conformance.transcripts_of_timing import identity
from evapd_drivers.gauge import edwards_tic as tic


def tic_pressure(line, meaning):
    return tic.judge(tic.decode_gauge(meaning["object"], line))[0]


DECODERS = {
    "edwards-tic": {"identity": identity(tic.decode_identity), "pressure_pa": tic_pressure},
}
COMMANDS = {}
