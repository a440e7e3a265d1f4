"""`evapd commission`: what the configuration must know of a rig, measured on the rig itself."""
