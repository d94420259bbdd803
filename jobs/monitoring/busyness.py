"""How much a person does on a day, and how little of it looks as if events were lost on the way.

A tracker that loses every other event does not halve what a person seems to do: whoever did one thing is not seen at
all in half of the cases, and drops out of the average. So the floor is told from what people did, not from the average alone.
"""

from __future__ import annotations

from dataclasses import dataclass

#: SQL of the share of users' days that nobody would know of if every other event were lost, by ``num_events`` of each.
UNSEEN_IF_HALVED = "avg(pow(0.5, num_events))"


@dataclass(frozen=True)
class Busyness:
    """Of some days, over all users and days on which they did anything."""

    events_a_person: float  # a day
    unseen_if_halved: (
        float  # share of the users' days without any event left, were every other one lost: half at most
    )

    @property
    def if_halved(self) -> float:
        """The events a person would seem to have, were every other one lost: each is kept or lost by itself."""
        return 0.5 * self.events_a_person / (1 - self.unseen_if_halved)

    def floor(self, loss: float) -> float:
        """The events of a person below which some are lost: by this share of the way to :attr:`if_halved`."""
        return self.events_a_person - loss * (self.events_a_person - self.if_halved)
