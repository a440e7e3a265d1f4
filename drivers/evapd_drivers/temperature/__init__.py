"""Drivers: temperature."""
