"""How transcripts of pulse generators are decoded: taken up by test_driver_transcripts.py."""

from evapd_drivers.pulser import bnc_577 as bnc


def identity(decode):
    """The parts of an identity that the transcript names."""
    return lambda line, meaning: {name: getattr(decode(line), name) for name in meaning["value"]}


DECODERS = {
    "bnc-577": {
        "identity": identity(bnc.decode_identity),
        "running": lambda line, _: bnc.decode_flag(line),
        "period_s": lambda line, _: bnc.decode_period(line),
        "mode": lambda line, _: bnc.decode_word(line).decode(),
        "trigger_mode": lambda line, _: bnc.decode_word(line).decode(),
    },
}
# What is sent to set a value of the transcript.
COMMANDS = {
    "bnc-577": {"set_period_s": lambda value: bnc.encode("PER", bnc.encode_period(1.0 / value))},
}
