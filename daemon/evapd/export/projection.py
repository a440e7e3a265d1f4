"""The projection of exported positions, which is that of the live preview too: see `evapd.spectrometry.projection`."""

from evapd.spectrometry.projection import LABEL, NAME, Projection, Projector

__all__ = ["LABEL", "NAME", "Projection", "Projector"]
