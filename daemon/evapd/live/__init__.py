"""Live analysis: from hits to what displays draw, so that they need no hits of their own (docs/protocols/live.md)."""
