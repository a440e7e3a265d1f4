"""A TDC that speaks tdc-stream: 1 kHz of triggers, a trickle of ions."""

from conformance.instruments.served import Served
from evapd_drivers.tdc.tdc_stream import TdcStream
from evapd_sim.plant import Plant
from evapd_sim.wire.alone import Alone
from evapd_sim.wire.serve import serve_wire
from evapd_sim.wire.tdc_frames import Kind, frame
from evapd_sim.wire.tdc_stream import TdcStreamWire


class Refusing(TdcStreamWire):
    """It can be made to refuse arming, as without its reference clock."""

    refuses = False

    def _reply(self, request):
        if self.refuses and not isinstance(request, str) and request.kind == Kind.ARM:
            return frame(Kind.NAK, b"no reference clock", seq=request.seq)
        return super()._reply(request)


class TdcStreamTdc(Served):
    driver = TdcStream
    serial = "0001"

    def __init__(self):
        self.plant = Plant()
        self.wire = Refusing(self.plant)

    def start(self, endpoint):
        self.server = serve_wire(self.wire, endpoint, on_tick=Alone(self.wire, self.plant, ions_hz=200.0))
        return self.server.address

    def refuse(self):
        self.wire.refuses = True

    def renumber(self):
        self.wire.renumber("0002")
