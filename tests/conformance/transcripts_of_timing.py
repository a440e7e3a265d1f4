"""How transcripts of pulse generators are decoded: taken up by test_driver_transcripts.py."""

from evapd.device.link import number
from evapd_drivers import scpi
from evapd_drivers.pulser import bnc_577 as bnc
from evapd_drivers.pulser import keysight_33500, scpi_generator, tektronix_afg


def identity(decode):
    """The parts of an identity that the transcript names."""
    return lambda line, meaning: {name: getattr(decode(line), name) for name in meaning["value"]}


def generator(models):
    return {
        "identity": identity(lambda line: scpi_generator.decode_identity(line, models)),
        "output_on": lambda line, _: scpi.decode_flag(line),
        "burst": lambda line, _: scpi.decode_flag(line),
        "shape": lambda line, _: scpi.decode_word(line),
        "rate_hz": lambda line, _: number(line, 0.0, scpi_generator.MAX_HZ),
        "error": lambda line, _: scpi.decode_error(line)[0],
    }


DECODERS = {
    "bnc-577": {
        "identity": identity(bnc.decode_identity),
        "running": lambda line, _: bnc.decode_flag(line),
        "period_s": lambda line, _: bnc.decode_period(line),
        "mode": lambda line, _: bnc.decode_word(line).decode(),
        "trigger_mode": lambda line, _: bnc.decode_word(line).decode(),
    },
    "keysight-33500": generator(keysight_33500.MODELS),
    "tektronix-afg": generator(tektronix_afg.MODELS),
}
# What is sent to set a value of the transcript.
COMMANDS = {
    "bnc-577": {"set_period_s": lambda value: bnc.encode("PER", bnc.encode_period(1.0 / value))},
    "keysight-33500": {"set_rate_hz": lambda value: scpi.encode("FREQ", value)},
    "tektronix-afg": {"set_rate_hz": lambda value: scpi.encode("SOUR1:FREQ:FIX", value)},
}
