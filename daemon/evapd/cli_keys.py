"""Commands of `evapd keys`."""
