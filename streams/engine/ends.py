"""How far a reader has come in what was written: whether a record may be handed to it past its topic.

A place (topic, partition) is read to its end once the reader has all that may have been written there before what is
handed over next: all that was there when the place was assigned, all that this worker has written there since, and all
that was there when it was given a partition of an agent that writes there. What other workers write meanwhile is of
other partitions of theirs: no order is kept between those.
"""

from __future__ import annotations

from streams.engine.align import Place


class Ends:
    """Of one source. ``missing``: the places with something to be read first."""

    def __init__(self) -> None:
        self.missing: set[Place] = set()
        self._needed: dict[Place, int] = {}
        self._read: dict[Place, int] = {}

    def need(self, place: Place, end: int) -> None:
        """Everything before ``end`` has to be read first."""
        self._needed[place] = max(end, self._needed.get(place, 0))
        if self._read.get(place, -1) < self._needed[place]:
            self.missing.add(place)

    def read(self, place: Place, end: int) -> None:
        """The reader has everything before ``end``."""
        if place in self._needed:
            self._read[place] = end
            if end >= self._needed[place]:
                self.missing.discard(place)

    def reached(self, place: Place) -> bool:
        return place in self._needed and place not in self.missing

    def again(self) -> None:
        """Everything is read again from somewhere before."""
        self._read.clear()
        self.missing.update(self._needed)

    def drop(self, place: Place) -> None:
        """The place was taken away."""
        self._needed.pop(place, None)
        self._read.pop(place, None)
        self.missing.discard(place)
