"""What a driver fulfils and what the daemon does with it: contracts, transports, supervision."""

from evapd.device.build import build_device
from evapd.device.link import Link, TransportFactory, limited, number, same_serial
from evapd.device.opening import open_transport
from evapd.device.protocols import (
    Device,
    DigitalIo,
    DriverConfig,
    Gauge,
    HighVoltageSupply,
    HitSource,
    Laser,
    PulseAmplitude,
    Pulser,
    Stage,
    TdcSource,
    Thermometer,
)
from evapd.device.readings import (
    AxisReading,
    DigitalReading,
    GaugeReading,
    HighVoltageReading,
    Identity,
    LaserReading,
    PulseAmplitudeReading,
    PulserReading,
    Reading,
    StageReading,
    TdcDescription,
    TdcReading,
    ThermometerReading,
)
from evapd.device.snapshot import DeviceState, Snapshot
from evapd.device.supervise import DeviceWorker
from evapd.device.trace import ByteTrace, Piece
from evapd.device.transport import Transport

__all__ = [
    "AxisReading",
    "ByteTrace",
    "Device",
    "DeviceState",
    "DeviceWorker",
    "DigitalIo",
    "DigitalReading",
    "DriverConfig",
    "Gauge",
    "GaugeReading",
    "HighVoltageReading",
    "HighVoltageSupply",
    "HitSource",
    "Identity",
    "Laser",
    "LaserReading",
    "Link",
    "Piece",
    "PulseAmplitude",
    "PulseAmplitudeReading",
    "Pulser",
    "PulserReading",
    "Reading",
    "Snapshot",
    "Stage",
    "StageReading",
    "TdcDescription",
    "TdcReading",
    "TdcSource",
    "Thermometer",
    "ThermometerReading",
    "Transport",
    "TransportFactory",
    "build_device",
    "limited",
    "number",
    "open_transport",
    "same_serial",
]
