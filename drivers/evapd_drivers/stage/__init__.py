"""Stages and encoders."""
