"""Temperature controllers: Lake Shore 335 and 336."""
