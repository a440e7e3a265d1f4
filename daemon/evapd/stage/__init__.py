"""How well a stage comes back: the reproducibility procedure, its figures and its picture."""
