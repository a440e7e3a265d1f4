"""Anode constants from the data themselves: time sums, walk, offsets, scales, outline; and their drift."""
