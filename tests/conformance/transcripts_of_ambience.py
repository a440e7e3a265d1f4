"""How transcripts of gauges and thermometers are decoded: taken up by test_driver_transcripts.py."""

from conformance.transcripts_of_timing import identity
from evapd_drivers.gauge import edwards_tic as tic
from evapd_drivers.temperature import cryocon_24c as cryocon
from evapd_drivers.temperature import srs_ctc100 as ctc


def tic_pressure(line, meaning):
    return tic.judge(tic.decode_gauge(meaning["object"], line))[0]


DECODERS = {
    "edwards-tic": {"identity": identity(tic.decode_identity), "pressure_pa": tic_pressure},
    "cryocon-24c": {
        "identity": identity(cryocon.decode_identity),
        "temperature_k": lambda line, _: cryocon.decode_input(line)[0],
        "setpoint_k": lambda line, _: cryocon.decode_kelvin(line),
        "heater_percent": lambda line, _: cryocon.decode_percent(line),
    },
    "srs-ctc100": {
        "identity": identity(ctc.decode_identity),
        "names": lambda line, _: [name.decode() for name in ctc.fields(line)],
        "units": lambda line, _: [unit.decode() for unit in ctc.fields(line)],
        "values": lambda line, _: [float(value) for value in ctc.fields(line)],
        "setpoint_k": lambda line, _: ctc.decode_setpoint(line),
        "error": lambda line, _: ctc.decode_error(line)[0],
    },
}
COMMANDS = {}
