"""Drivers: pulser."""
