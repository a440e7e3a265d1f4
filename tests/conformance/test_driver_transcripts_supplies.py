"""The codecs of supplies that talk in counts or frames decode the committed byte transcripts, and say what they mean."""

from pathlib import Path

import pytest
import yaml

from evapd.device.link import number
from evapd_drivers.hv import glassman
from evapd_drivers.hv import heinzinger_pnc as heinzinger
from evapd_drivers.hv import spellman_xrv as spellman
from evapd_drivers.hv import technix_sr as technix
from evapd_drivers.pulser import tdk_genesys as genesys

FOLDER = Path(__file__).parents[1] / "wire" / "transcripts"


def technix_status(reply):
    status = technix.decode_status(reply)
    return {
        "output_on": status.output_on, "remote": not status.local, "interlock_open": status.interlock_open,
        "fault": status.fault, "inhibited": status.inhibited,
    }  # fmt: skip


def spellman_fields(reply):
    """The frame's own command and whether it carries a checksum say how it is read."""
    frame = reply.rstrip(b"\x03")
    return spellman.decode(int(frame[1:3]), frame, signed=not frame.endswith(b","))


def spellman_status(reply):
    flags = spellman.decode_flags(spellman_fields(reply), 6)
    return {
        "output_on": flags[spellman.HV_ON], "remote": not flags[spellman.LOCAL], "fault": flags[spellman.FAULT],
        "interlock_open": spellman.interlock_open(flags),
    }  # fmt: skip


def spellman_count(reply):
    return spellman.decode_counts(spellman_fields(reply))[0]


# What a reply means, by instrument and query; queries that no driver asks are not listed.
DECODERS = {
    "technix-sr": {
        "status": technix_status,
        "voltage": lambda reply: technix.decode_counts(b"a1", reply),
        "current": lambda reply: technix.decode_counts(b"a2", reply),
    },
    "glassman": {
        "status": lambda reply: glassman.decode_status(reply.strip())._asdict(),
        "version": lambda reply: glassman.decode(b"B", reply.strip()).decode(),
    },
    "heinzinger-pnc": {
        "identity": lambda reply: {
            name: getattr(heinzinger.decode_identity(reply)[0], name)
            for name in ("vendor", "model", "serial")
        },
    }
    | dict.fromkeys(
        ("voltage_set", "current_set", "voltage", "current"), lambda reply: number(reply.strip(), -1e4, 1e4)
    ),
    "tdk-genesys": {
        "identity": lambda reply: {
            name: getattr(genesys.decode_identity(reply)[0], name) for name in ("vendor", "model")
        },
        "serial": genesys.decode,
        "remote": genesys.decode_remote,
        "output_on": genesys.decode_on,
        "set_voltage_v": genesys.decode_value,
        "measured_voltage_v": genesys.decode_value,
    },
    "spellman-xrv": {
        "status": spellman_status,
        "scaling": lambda reply: [
            float(spellman_fields(reply)[0]) * 1e3,
            float(spellman_fields(reply)[1]) * 1e-3,
        ],
        "firmware": lambda reply: " ".join(spellman_fields(reply)),
        "watchdog_s": lambda reply: float(spellman_fields(reply)[11]),
        "voltage_set": spellman_count,
        "current_set": spellman_count,
        "monitors": lambda reply: spellman.decode_counts(spellman_fields(reply), 2),
        "errors": lambda reply: [
            place for place, on in enumerate(spellman.decode_flags(spellman_fields(reply), 27)) if on
        ],
    },
}
COMMANDS = {
    "technix-sr": {
        name: lambda value, command=command: technix.encode(command, value)
        for name, command in {
            "set_voltage": "d1", "set_current": "d2", "hv_on": "P5", "hv_off": "P6", "local": "P7",
        }.items()
    },
    "glassman": {
        "set": lambda value: glassman.encode_set(*value),
        "host_timeout": lambda value: glassman.encode(b"C0" if value else b"C1"),
    },
    "heinzinger-pnc": {
        name: lambda value, command=command: heinzinger.encode(command, value)
        for name, command in {"set_voltage": "VOLT", "set_current": "CURR"}.items()
    },
    "spellman-xrv": {
        name: lambda value, command=command: spellman.encode(command, *([] if value is None else [value]), signed=True)
        for name, command in {"set_voltage": 10, "set_current": 11, "output": 98, "reset": 31}.items()
    },
}  # fmt: skip


def cases(kind, table):
    for instrument, known in table.items():
        content = yaml.safe_load((FOLDER / f"{instrument}.yaml").read_text(encoding="utf-8"))
        for place, exchange in enumerate(content["exchanges"]):
            what = exchange.get("meaning", {}).get(kind)
            if what in known and "error" not in exchange["meaning"]:
                yield pytest.param(instrument, exchange, id=f"{instrument}-{place}-{what}")


@pytest.mark.parametrize(("instrument", "exchange"), list(cases("query", DECODERS)))
def test_a_supplys_reply_means_what_the_transcript_says(instrument, exchange):
    meaning = exchange["meaning"]
    value = DECODERS[instrument][meaning["query"]](exchange["reply"].encode("latin-1"))
    assert value == (pytest.approx(meaning["value"]) if isinstance(value, float) else meaning["value"])


@pytest.mark.parametrize(("instrument", "exchange"), list(cases("command", COMMANDS)))
def test_a_supplys_command_is_the_bytes_of_the_transcript(instrument, exchange):
    meaning = exchange["meaning"]
    sent = COMMANDS[instrument][meaning["command"]](meaning["value"])
    assert sent == exchange["send"].encode("latin-1")
