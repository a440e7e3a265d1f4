"""Frames on their way out: publisher, replay, subscriber."""
