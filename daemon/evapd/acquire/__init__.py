"""The acquire process: readout, matching, run life cycle."""
