"""Drivers: gauge."""
