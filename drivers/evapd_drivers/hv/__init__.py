"""High-voltage supplies: FuG with Probus V."""
