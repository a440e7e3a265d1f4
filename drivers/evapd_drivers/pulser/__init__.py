"""Sources of pulses (delay and function generators), and the supplies that give their amplitude."""
