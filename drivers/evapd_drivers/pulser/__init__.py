"""Sources of pulses and their amplitude: SRS DG645, Elektro-Automatik supplies."""
