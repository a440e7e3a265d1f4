"""Drivers: hv."""
