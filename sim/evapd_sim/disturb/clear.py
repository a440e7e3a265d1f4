"""The event that ends others."""

from typing import Annotated, Literal

from pydantic import Field

from evapd_sim.disturb.event import Effect, Event, Scene


class Clear(Event):
    """Everything that goes on ends, or all events of one name; what has changed for good (layers, fractures) stays."""

    do: Literal["clear"]
    what: Annotated[str | None, Field(description="name of the events; without: all")] = None

    def begin(self, scene: Scene) -> Effect | None:  # noqa: ARG002 - the signature of every event
        """Do nothing by itself: the engine ends the others."""
        return None
