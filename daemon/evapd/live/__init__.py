"""What displays need of the hits, gathered as they come: spectrum, map, multiplicity, points."""
