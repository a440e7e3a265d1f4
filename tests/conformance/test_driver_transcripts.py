"""Each codec decodes the committed byte transcripts of its instrument, and says what they mean."""

import re
from pathlib import Path

import pytest
import yaml

from conformance import transcripts_of_ambience as ambience
from conformance import transcripts_of_timing as timing
from evapd.errors import DeviceProtocolError, DeviceRefused
from evapd_drivers.gauge import pfeiffer_tpg26x as tpg
from evapd_drivers.hv import fug_probus as fug
from evapd_drivers.laser import nkt_origami as nkt
from evapd_drivers.pulser import dg645, ea_scpi
from evapd_drivers.tdc import tdc_stream
from evapd_drivers.temperature import lakeshore_336 as lakeshore

FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"
PA_PER_UNIT = {0: 100.0, 1: 101325.0 / 760.0, 2: 1.0}


def identity(decoded, meant):
    return {name: getattr(decoded, name) for name in meant}


def fug_value(register):
    return lambda line, _: fug.decode_value(register, line, 1e6)


def fug_flag(register):
    return lambda line, _: fug.decode_flag(register, line)


def pressure(line, meaning):
    """In the unit of the display again, as the transcript says it."""
    status, value_pa = tpg.decode_pressure(line, PA_PER_UNIT[meaning["unit"]])
    assert status == meaning["status"]
    return value_pa / PA_PER_UNIT[meaning["unit"]]


def told(line, decode):
    """The first line of a reply of several that is about the question."""
    return next(value for part in line.split(b"\n") if (value := decode(part)) is not None)


def nkt_number(name):
    return lambda line, _: told(line, lambda part: nkt.decode_number(name, part, 4000))


def nkt_status(line, meaning):
    status = told(line, nkt.decode_status)
    return {"emission": status.emission, "ready": status.ready, "fault": bool(status.bits & nkt.ERROR)}


# What a reply means, by instrument and query; queries that no driver asks are not listed.
DECODERS = {
    "fug-probus": {
        "identity": lambda line, meaning: identity(fug.decode_identity(line), meaning["value"]),
        "remote": fug_flag("DSD"), "output_commanded": fug_flag("BON"), "constant_current": fug_flag("DIR"),
        "set_voltage_v": fug_value("S0"), "set_voltage_in_force_v": fug_value("S0A"), "current_limit_a": fug_value("S1"),
        "ramp_v_per_s": fug_value("S0R"), "ramp_mode": fug_value("S0B"), "measured_voltage_v": fug_value("M0"),
        "measured_current_a": fug_value("M1"),
    },
    "dg645": {
        "identity": lambda line, meaning: identity(dg645.decode_identity(line), meaning["value"]),
        "last_error": lambda line, _: dg645.decode_integer(line, 255),
        "trigger_source": lambda line, _: dg645.decode_integer(line, 6),
        "instrument_status": lambda line, _: dg645.decode_integer(line, 255),
        "inhibit_input": lambda line, _: dg645.decode_integer(line, 5),
        "rate_hz": lambda line, _: dg645.number(line, 0, 10e6),
    },
    "ea-scpi": {
        "identity": lambda line, meaning: identity(ea_scpi.decode_identity(line), meaning["value"]),
        "lock_owner": lambda line, meaning: meaning["value"] if ea_scpi.decode_remote(line) == (meaning["value"] == "REMOTE") else None,
        "set_voltage_v": lambda line, _: ea_scpi.decode_volts(line),
        "measured_voltage_v": lambda line, _: ea_scpi.decode_volts(line),
        "output_on": lambda line, _: ea_scpi.decode_on(line),
    },
    "lakeshore-336": {
        "identity": lambda line, meaning: identity(lakeshore.decode_identity(line), meaning["value"]),
        "temperature_k": lambda line, _: lakeshore.decode_kelvin(line),
        "setpoint_k": lambda line, _: lakeshore.decode_kelvin(line),
        "heater_percent": lambda line, _: lakeshore.decode_percent(line),
        "reading_status": lambda line, meaning: meaning["value"] if (lakeshore.decode_status(line) == "ok") == (meaning["value"] == 0) else None,
    },
    "pfeiffer-tpg26x": {
        "firmware": lambda line, _: tpg.decode_firmware(line).firmware,
        "unit": lambda line, _: {scale: unit for unit, scale in PA_PER_UNIT.items()}[tpg.decode_unit(line)],
        "pressure": pressure,
        "error": lambda line, _: line.decode(),
    },
    "nkt-origami": {
        "status": nkt_status,
        "shutter_open": lambda line, _: told(line, nkt.decode_open),
        "rates_hz": lambda line, _: nkt.decode_rates(line.split(b"\n")),
        "e_freq": nkt_number("e_freq"), "e_div": nkt_number("e_div"), "e_power": nkt_number("e_power"),
        "e_mlp": lambda line, _: told(line, lambda part: nkt.decode_optical(part, 200_000.0)),
    },
} | timing.DECODERS | ambience.DECODERS  # fmt: skip


def exchanges(instrument):
    return yaml.safe_load((FOLDER / f"{instrument}.yaml").read_text(encoding="utf-8"))["exchanges"]


def known(instrument):
    for number, exchange in enumerate(exchanges(instrument)):
        meaning = exchange.get("meaning", {})
        if meaning.get("query") in DECODERS[instrument]:
            yield pytest.param(instrument, exchange, id=f"{instrument}-{number}-{meaning['query']}")


@pytest.mark.parametrize(("instrument", "exchange"), [case for name in DECODERS for case in known(name)])
def test_a_reply_means_what_the_transcript_says(instrument, exchange):
    meaning = exchange["meaning"]
    line = exchange["reply"].encode("latin-1").strip(b"\r\n")
    value = DECODERS[instrument][meaning["query"]](line, meaning)
    expected = meaning["value"]
    assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)


REFUSALS = [one for one in exchanges("fug-probus") if "code" in one.get("meaning", {})]


@pytest.mark.parametrize("exchange", REFUSALS, ids=lambda one: one["reply"].strip())
def test_a_supplys_error_line_is_a_refusal(exchange):
    with pytest.raises(DeviceRefused, match=f"E{exchange['meaning']['code']}:"):
        fug.decode_ack(exchange["reply"].encode().strip())


COMMANDS = (
    {
        "fug-probus": {
            "set_voltage_v": lambda value: fug.encode_set("S0", value),
            "set_current_limit_a": lambda value: fug.encode_set("S1", value),
            "set_ramp_v_per_s": lambda value: fug.encode_set("S0R", value),
            "set_ramp_mode": lambda value: fug.encode_set("S0B", value),
        },
        "dg645": {
            "set_rate_hz": lambda value: dg645.encode("TRAT", value),
            "set_trigger_source": lambda value: dg645.encode("TSRC", value),
            "set_inhibit_input": lambda value: dg645.encode("INHB", value),
        },
        "ea-scpi": {"set_voltage_v": ea_scpi.encode_volts},
        "nkt-origami": {
            f"set_{name}": lambda value, name=name: nkt.encode(name, value)
            for name in ("e_freq", "e_div", "e_power")
        },
        "lakeshore-336": {"set_setpoint_k": lambda value: lakeshore.encode("SETP", "1", f"{value:.3f}")},
    }
    | timing.COMMANDS
    | ambience.COMMANDS
)


def parts(command):
    """Keyword and numbers: the form of a number is free."""
    keyword, rest = re.split(rb"[ =]", command.strip(), maxsplit=1)
    return keyword, [float(number) for number in rest.split(b",")]


@pytest.mark.parametrize(
    ("instrument", "exchange"),
    [
        pytest.param(name, one, id=f"{name}-{one['send'].strip()}")
        for name, encoders in COMMANDS.items()
        for one in exchanges(name)
        if one.get("meaning", {}).get("command") in encoders and not one["send"].startswith("U")
    ],
)
def test_a_command_says_what_the_transcript_sends(instrument, exchange):
    meaning = exchange["meaning"]
    sent = COMMANDS[instrument][meaning["command"]](meaning["value"])
    assert parts(sent) == parts(exchange["send"].encode())


TDC = yaml.safe_load((FOLDER / "tdc-stream.yaml").read_text(encoding="utf-8"))
DATA = [
    (one["reply"], one["meaning"]["data"]) for one in TDC["exchanges"] if "data" in one.get("meaning", {})
]
DATA += [(one["bytes"], one["data"]) for one in TDC["frames"] if "data" in one]


@pytest.mark.parametrize(("text", "data"), DATA)
def test_a_data_frame_says_what_the_transcript_says(text, data):
    frame = tdc_stream.decode_frame(bytes.fromhex(text))
    assert tdc_stream.Flag(frame.flags) == sum(
        (tdc_stream.Flag[name] for name in data["flags"]), tdc_stream.Flag(0)
    )
    for name in ("seq", "first_pulse", "pulses", "inhibited", "t_device_ns", "lost_words"):
        assert getattr(frame, name) == data[name]
    words = tdc_stream.decode_words(frame)
    pulses = [int(pulse) - frame.first_pulse for pulse in words.pulse]
    assert list(zip(pulses, words.channel.tolist(), words.time.tolist(), strict=True)) == [
        tuple(row) for row in data["words"]
    ]


@pytest.mark.parametrize(
    "one", [one for one in TDC["frames"] if "refused" in one], ids=lambda one: one["name"]
)
def test_a_frame_that_the_transcript_refuses_is_refused(one):
    data = bytes.fromhex(one["bytes"])
    with pytest.raises(DeviceProtocolError, match=one["refused"]):
        tdc_stream.decode_frame(data[: tdc_stream.frame_length(data)])


REQUESTS = {"disarm": tdc_stream.Kind.DISARM, "arm": tdc_stream.Kind.ARM}


@pytest.mark.parametrize(
    "one", [one for one in TDC["exchanges"] if one.get("meaning", {}).get("command") in REQUESTS]
)
def test_a_request_is_the_bytes_of_the_transcript(one):
    meaning = one["meaning"]
    assert tdc_stream.encode_request(REQUESTS[meaning["command"]], meaning["seq"]) == bytes.fromhex(
        one["send"]
    )
