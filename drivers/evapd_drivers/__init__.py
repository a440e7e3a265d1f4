"""Drivers, one file per instrument, found by entry point `evapd.drivers` only."""
