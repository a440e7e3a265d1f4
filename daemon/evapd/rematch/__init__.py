"""Recorded words matched again, with another anode or calibration."""
