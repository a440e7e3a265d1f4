"""TDC words to hits."""
