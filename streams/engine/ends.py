"""How far a reader has come in what was written: whether a record may be handed to it past its topic.

A place (topic, partition) is read to its end once the client has said so at an offset at or behind all that had been
written when the place was assigned, and all that this worker has written there since.
"""

from __future__ import annotations

from streams.engine.align import Place


class Ends:
    """Of one source."""

    def __init__(self) -> None:
        self._needed: dict[Place, int] = {}
        self._reached: set[Place] = set()

    def need(self, place: Place, end: int) -> None:
        """Everything before ``end`` has to be read first."""
        self._needed[place] = max(end, self._needed.get(place, 0))
        self._reached.discard(place)

    def read(self, place: Place, end: int) -> None:
        """The reader has everything before ``end``, and there was nothing more."""
        if end >= self._needed.get(place, end + 1):
            self._reached.add(place)

    def reached(self, place: Place) -> bool:
        return place in self._reached

    def again(self) -> None:
        """Everything is read again from somewhere before."""
        self._reached.clear()

    def drop(self, place: Place) -> None:
        """The place was taken away."""
        self._needed.pop(place, None)
        self._reached.discard(place)

