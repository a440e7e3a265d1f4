"""The rig file: YAML in, checked and frozen objects out."""
