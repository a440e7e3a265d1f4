"""Tektronix AFG3000 family (AFG3000B/C, AFG31000) as the source of pulses, through pyvisa (`visa:` descriptor).

Written from the AFG3000 programmer manual's headers as open clients and an open simulator use them: SCPI, lines ended by LF, sets answer nothing, errors queue.
LAN by VXI-11 (`visa:TCPIP0::host::INSTR`), USB or GPIB; AFG31000 also raw TCP.

Confidence: OUTPn:STAT, SOURn:FREQ:FIX, SOURn:FUNC:SHAP, SOURn:BURS:STAT and the identity agree in two sources or more. Switches are sent as 1 and 0, which all of them
take. `*TRG` fires one burst where burst is on, so it is no source of pulses and is not sent. Without an answer to SYST:ERR? or BURS:STAT? the driver goes on without
them. Nothing here was tried on hardware.
"""

import re

from evapd_drivers.pulser.scpi_generator import Dialect, ScpiGenerator

MODELS = re.compile(r"tektronix,afg ?3\d{3,4}[ABC]?", re.IGNORECASE)


class TektronixAfg(ScpiGenerator):
    """An AFG3000."""

    @staticmethod
    def dialect(channel: int) -> Dialect:
        """Give the headers of a channel."""
        source = f"SOUR{channel}"
        return Dialect(
            f"OUTP{channel}:STAT",
            f"{source}:FREQ:FIX",
            f"{source}:FUNC:SHAP",
            f"{source}:BURS:STAT",
            f"{source}:BURS:MODE",
            "1",
            "0",
            MODELS,
        )
