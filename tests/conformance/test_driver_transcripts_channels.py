"""The codecs of supplies with channels and of SRS supplies decode the committed byte transcripts, and say what they mean."""

import re
from pathlib import Path

import pytest
import yaml

from evapd.errors import DeviceRefused
from evapd_drivers.hv import caen_dt as caen
from evapd_drivers.hv import iseg_shr as iseg
from evapd_drivers.hv import srs_ps300 as srs

FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"


def iseg_status(line):
    word = iseg.Status(iseg.decode_word(line))
    names = {
        "output_on": "ON", "ramping": "RAMPING", "emergency_off": "EMERGENCY_OFF", "constant_current": "CONSTANT_CURRENT",
        "inhibited": "INHIBIT", "tripped": "TRIP",
    }  # fmt: skip
    return {name: iseg.Status[bit] in word for name, bit in names.items()}


def iseg_value(unit, limit):
    return lambda line: iseg.decode_value(line, unit, limit)


def srs_status(line):
    status = srs.decode_status(line)
    names = {
        "output_on": "ON",
        "v_trip": "VOLTAGE_TRIP",
        "i_trip": "CURRENT_TRIP",
        "limited": "CURRENT_LIMIT",
        "stable": "STABLE",
    }
    return {name: srs.Status[bit] in status for name, bit in names.items()}


def identity(decode):
    fields = ("vendor", "model", "serial", "firmware")
    return lambda line: {name: getattr(decode(line), name) for name in fields}


# What the last line of a reply means, by instrument and query; queries that no driver asks are not listed.
DECODERS = {
    "caen-dt": {
        "text": lambda line: caen.decode(line, 0).decode(),
        "word": lambda line: caen.decode_word(caen.decode(line, 0)),
        "number": lambda line: caen.decode_number(caen.decode(line, 0), caen.MAX_V),
        "polarity": lambda line: caen.decode_polarity(caen.decode(line, 0)),
    },
    "iseg-shr": {
        "identity": identity(iseg.decode_identity),
        "done": lambda line: iseg.decode_done(line) is None,
        "status": iseg_status,
        "polarity": iseg.decode_polarity,
        "safety_loop_good": lambda line: bool(iseg.decode_word(line) & iseg.SAFETY_LOOP),
        "set_voltage_v": iseg_value(b"V", iseg.MAX_V), "measured_voltage_v": iseg_value(b"V", iseg.MAX_V),
        "current_limit_a": iseg_value(b"A", iseg.MAX_A), "measured_current_a": iseg_value(b"A", iseg.MAX_A),
        "ramp_v_per_s": iseg_value(b"V/s", iseg.MAX_V_PER_S),
    },
}  # fmt: skip

DECODERS["srs-ps300"] = {
    "identity": identity(srs.decode_identity),
    "status": srs_status,
    "set_voltage_v": lambda line: srs.decode_number(line, srs.MAX_V),
    "measured_voltage_v": lambda line: srs.decode_number(line, srs.MAX_V),
    "current_limit_a": lambda line: srs.decode_number(line, srs.MAX_A),
    "measured_current_a": lambda line: srs.decode_number(line, srs.MAX_A),
}


def caen_set(parameter, value=""):
    return caen.encode("SET", parameter, value, channel=0)


COMMANDS = {
    "caen-dt": {
        "set_voltage_v": lambda value: caen_set("VSET", f"{value:.1f}"),
        "set_current_limit_a": lambda value: caen_set("ISET", f"{value * 1e6:.2f}"),
        "set_ramp_up_v_per_s": lambda value: caen_set("RUP", f"{value:.0f}"),
        "set_ramp_down_v_per_s": lambda value: caen_set("RDW", f"{value:.0f}"),
        "set_power_down": lambda value: caen_set("PDWN", value),
        "output": lambda value: caen_set("ON" if value else "OFF"),
        "clear_alarms": lambda _: caen.encode("SET", "BDCLR"),
    },
    "srs-ps300": {
        "set_voltage_v": lambda value: srs.encode("VSET", f"{value:.1f}"),
        "set_current_limit_a": lambda value: srs.encode("ILIM", f"{value:.7f}"),
        "output": lambda value: srs.encode("HVON" if value else "HVOF"),
        "clear_trips": lambda _: srs.encode("TCLR"),
    },
    "iseg-shr": {
        "set_voltage_v": lambda value: iseg.encode_number(":VOLT", value, 0),
        "set_current_limit_a": lambda value: iseg.encode_number(":CURR", value, 0),
        "set_ramp_v_per_s": lambda value: iseg.encode_number(":CONF:RAMP:VOLT", value, 0),
        "clear_events": lambda _: iseg.encode(":EVENT", "CLEAR", 0),
        "clear_emergency_off": lambda _: iseg.encode(":VOLT", "EMCY CLR", 0),
    },
}


def exchanges(instrument):
    return yaml.safe_load((FOLDER / f"{instrument}.yaml").read_text(encoding="utf-8"))["exchanges"]


def cases(table, kind):
    for instrument, known in table.items():
        for number, one in enumerate(exchanges(instrument)):
            what = one.get("meaning", {}).get(kind)
            if what in known:
                yield pytest.param(known[what], one, id=f"{instrument}-{number}-{what}")


@pytest.mark.parametrize(("decode", "exchange"), list(cases(DECODERS, "query")))
def test_a_reply_means_what_the_transcript_says(decode, exchange):
    found = decode(exchange["reply"].encode("latin-1").splitlines()[-1])
    meant = exchange["meaning"]["value"]
    if isinstance(meant, dict):
        known = meant.keys() & found.keys()
        assert known
        assert {name: found[name] for name in known} == {name: meant[name] for name in known}
    else:
        assert found == (pytest.approx(meant) if isinstance(meant, float) else meant)


def parts(command):
    """Words, and numbers whose form is free."""
    split = re.findall(rb"[-+]?[0-9][0-9.]*(?:[eE][-+]?[0-9]+)?|[A-Za-z]+|[^A-Za-z0-9.\s]", command)
    return [float(one) if one[-1:].isdigit() else one for one in split]


@pytest.mark.parametrize(("encode", "exchange"), list(cases(COMMANDS, "command")))
def test_a_command_says_what_the_transcript_sends(encode, exchange):
    assert parts(encode(exchange["meaning"]["value"])) == parts(exchange["send"].encode())


REFUSALS = [one for one in exchanges("caen-dt") if "code" in one.get("meaning", {})]


@pytest.mark.parametrize("exchange", REFUSALS, ids=lambda one: one["send"].strip())
def test_a_units_error_is_a_refusal(exchange):
    with pytest.raises(DeviceRefused, match=f"{exchange['meaning']['code']}:ERR"):
        caen.decode(exchange["reply"].encode().strip(), 0)
