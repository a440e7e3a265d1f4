"""The field-evaporation daemon: acquisition, control and recording for home-built atom probes."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("evapd")
except PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
