"""Spectra, peaks, plots and summaries of a run."""
