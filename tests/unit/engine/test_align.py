"""Records of several topics are handed out by their time of writing."""

from __future__ import annotations

from confluent_kafka import TIMESTAMP_CREATE_TIME

from streams.engine.align import STRIDE, Aligner, Grouped


class Written:
    """A message as far as its offset and time of writing."""

    def __init__(self, offset: int, at: int) -> None:
        self.at, self.number = at, offset

    def offset(self) -> int:
        return self.number

    def timestamp(self) -> tuple[int, int]:
        return TIMESTAMP_CREATE_TIME, self.at


def written(count: int, every: int, start: int = 0) -> list[Written]:
    return [Written(number, start + number * every) for number in range(count)]


def offsets(taken: Grouped) -> dict[tuple[int, str], list[int]]:
    return {
        (p, topic): [m.offset() for m in messages] for p, topics in taken.items() for topic, messages in topics.items()
    }


def test_a_topic_that_is_ahead_waits_for_the_others() -> None:
    aligner = Aligner()
    aligner.put({0: {"payments": written(10 * STRIDE, 1, 100_000), "orders": written(2 * STRIDE, 1)}})
    assert offsets(aligner.take(2 * STRIDE)) == {(0, "orders"): list(range(2 * STRIDE))}
    assert aligner.size == 10 * STRIDE


def test_everything_comes_out_once_and_in_order_of_offset() -> None:
    aligner = Aligner()
    put = {0: {"a": written(333, 3), "b": written(77, 10)}, 1: {"a": written(500, 2, 50)}}
    aligner.put(put)
    out: dict[tuple[int, str], list[int]] = {}
    while aligner.size:
        for place, numbers in offsets(aligner.take(120)).items():
            out.setdefault(place, []).extend(numbers)
    assert out == offsets(put)
    assert aligner.take(1) == {}


def test_a_place_that_was_taken_away_is_forgotten() -> None:
    aligner = Aligner()
    aligner.put({0: {"a": written(5, 1)}, 1: {"a": written(5, 1)}})
    aligner.drop(("a", 0))
    aligner.drop(("b", 7))
    assert aligner.sizes() == {("a", 1): 5}
    assert offsets(aligner.take(100)) == {(1, "a"): [0, 1, 2, 3, 4]}
    assert aligner.size == 0
