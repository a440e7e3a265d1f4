"""Drivers: tdc."""
