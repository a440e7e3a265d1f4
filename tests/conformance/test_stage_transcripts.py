"""The codecs of the stage drivers decode the committed byte transcripts, and their commands are those of the transcripts."""

from pathlib import Path

import pytest
import yaml

from evapd_drivers.stage import attocube_anc350 as anc
from evapd_drivers.stage import newport_esp301 as esp
from evapd_drivers.stage import newport_smc100 as smc
from evapd_drivers.stage import pi_gcs2 as gcs
from evapd_drivers.stage import smaract_mcs2 as mcs2

FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"


def part(decoded, meant):
    """Of a record, what the transcript names."""
    return {name: getattr(decoded, name) for name in meant}


def addressed(command, decode):
    """Decode what stands behind address and command."""
    return lambda line, _: decode(smc.decode(1, command, line))


def words_of(reply):
    """Value of an acknowledgement in hexadecimal words."""
    data = bytes.fromhex(reply.decode())
    assert anc.decode_length(data[:4]) == len(data) - 4
    answer = anc.decode(data[4:])
    assert answer.reason == 0
    return answer.value


def anc_status(line, _):
    bits = words_of(line)
    return {"moving": bool(bits & anc.RUNNING), "referenced": bool(bits & anc.REFERENCED)}


# What a reply means, by instrument and query; queries that no driver asks are not listed.
DECODERS = {
    "smaract-mcs2": {
        "serial": lambda line, _: mcs2.decode_serial(line),
        "channels": lambda line, _: mcs2.decode_integer(line, 1, 255),
        "error_count": lambda line, _: mcs2.decode_integer(line, 0, 64),
        "state": lambda line, meant: part(mcs2.decode_state(line), meant),
        "position_mm": lambda line, _: mcs2.decode_mm(line),
        "error": lambda line, _: dict(zip(("code", "text"), mcs2.decode_error(line), strict=True)),
    },
    "pi-gcs2": {
        "identity": lambda line, meant: part(gcs.decode_identity(line), meant),
        "names": lambda line, _: gcs.decode_names(line.splitlines()),
        "numbers": lambda line, meant: pytest.approx(gcs.decode_numbers(list(meant), line.splitlines())),
        "flags": lambda line, meant: gcs.decode_flags(list(meant), line.splitlines()),
        "error": lambda line, _: gcs.decode_error(line),
        "motion": lambda line, meant: gcs.decode_motion(line, len(meant)),
    },
    "newport-esp301": {
        "version": lambda line, meant: part(esp.decode_version(line), meant),
        "error": lambda line, _: {"code": esp.decode_error(line)[0]},
        "position_mm": lambda line, _: esp.decode_mm(line),
        "done": lambda line, _: esp.decode_flag(line),
        "motor_on": lambda line, _: esp.decode_flag(line),
    },
    "newport-smc100": {
        "version": lambda line, meant: part(smc.decode_version(smc.decode(1, "VE", line)), meant),
        "stage": addressed("ID", bytes.decode),
        "state": lambda line, meant: part(smc.decode_state(smc.decode(int(line[:1]), "TS", line)), meant),
        "error": addressed("TE", smc.decode_error),
        **{name: addressed(name, smc.decode_mm) for name in ("PA", "TH", "TP")},
    },
    "attocube-anc350": {
        "status": anc_status,
        **{name: lambda line, _: words_of(line) for name in ("hardware_id", "unit", "counter")},
    },
}  # fmt: skip
COMMANDS = {
    "smaract-mcs2": {
        "set_move_mode": lambda value: mcs2.encode(":CHAN0:MMOD", value),
        "set_hold_ms": lambda value: mcs2.encode(":CHAN0:HOLD", value),
        "set_reference_options": lambda value: mcs2.encode(":CHAN0:REF:OPT", value),
        "move_mm": lambda value: mcs2.encode(":MOVE0", round(value * mcs2.PM_PER_MM)),
        "reference": lambda value: mcs2.encode(f":REF{value}"),
        "stop": lambda value: mcs2.encode(f":STOP{value}"),
    },
    "pi-gcs2": {
        "set_servo": lambda value: gcs.encode("SVO", "1", str(value)),
        "reference": lambda value: gcs.encode("FRF", value),
        "move_mm": lambda value: gcs.encode("MOV", "1", str(value)),
    },
}


def cases(table, key):
    """Give the exchanges of all instruments whose meaning a table knows."""
    for name, known in table.items():
        content = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
        for number, exchange in enumerate(content["exchanges"]):
            meaning = exchange.get("meaning", {})
            if meaning.get(key) in known:
                yield pytest.param(known[meaning[key]], exchange, id=f"{name}-{number}-{meaning[key]}")


@pytest.mark.parametrize(("decode", "exchange"), list(cases(DECODERS, "query")))
def test_a_reply_means_what_the_transcript_says(decode, exchange):
    meant = exchange["meaning"]["value"]
    value = decode(exchange["reply"].encode("latin-1").strip(b"\r\n"), meant)
    assert value == (pytest.approx(meant) if isinstance(meant, float) else meant)


@pytest.mark.parametrize(("encode", "exchange"), list(cases(COMMANDS, "command")))
def test_a_command_is_what_the_transcript_sends(encode, exchange):
    sent = encode(exchange["meaning"]["value"])
    assert sent.strip() == exchange["send"].encode("latin-1").strip()
