"""Vacuum gauge controllers: Pfeiffer TPG 26x and 36x."""
