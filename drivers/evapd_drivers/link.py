"""The shared link by its old name; it lives in `evapd.device.link`, where drivers of other packages find it, too."""

from evapd.device.link import MAX_LINE, Link, TransportFactory, limited, number, same_serial

__all__ = ["MAX_LINE", "Link", "TransportFactory", "limited", "number", "same_serial"]
