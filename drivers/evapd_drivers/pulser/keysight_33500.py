"""Agilent/Keysight 33220A, 33500 and 33600 function generators as the source of pulses, through pyvisa (`visa:` descriptor).

Written from the makers' operating and service guides as open clients quote them: plain SCPI, lines ended by LF, sets answer nothing, errors queue. LAN (VXI-11, or
raw TCP 5025), USB or GPIB. `visa:TCPIP0::host::5025::SOCKET`, `visa:TCPIP0::host::INSTR`, or `tcp:host:5025`.

Confidence: OUTP, FREQ, FUNC PULS, SYST:ERR? agree in many clients. Channel 1 is named without a number, which the 33220A needs and the 33500 takes. A
frequency whose period is shorter than the pulse gives error -221 and another width: that is a refusal, set the width at the panel. Out of range the
33500 sets its limit and says -222. Output off opens a relay: some ms, and edges of its own. Without an answer to SYST:ERR? or BURS:STAT? the driver
goes on without them. Nothing here was tried on hardware.
"""

import re

from evapd_drivers.pulser.scpi_generator import Dialect, ScpiGenerator

MODELS = re.compile(r"(agilent|keysight) technologies,33[2356]\d\d[AB]?", re.IGNORECASE)


class Keysight33500(ScpiGenerator):
    """A 33220A, 33500 or 33600."""

    @staticmethod
    def dialect(channel: int) -> Dialect:
        """Give the headers of a channel: those of channel 1 have no number."""
        output, source = ("OUTP", "") if channel == 1 else (f"OUTP{channel}", f"SOUR{channel}:")
        return Dialect(
            output,
            f"{source}FREQ",
            f"{source}FUNC",
            f"{source}BURS:STAT",
            f"{source}BURS:MODE",
            "ON",
            "OFF",
            MODELS,
        )
