"""Input lines as Avro: what `oms publish` sends and `oms replay` feeds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.engine.codec.errors import EncodeError
from streams.lines import BadLine, Line, read_lines
from streams.topology import Topology


def encoded_lines(paths: Iterable[Path], topology: Topology) -> Iterator[tuple[Line, bytes] | BadLine]:
    """Each line of the files with its value in the wire format, or why it is none; in file order.

    A topic that is no input topic and a value that does not fit the topic's schema are bad lines of stage `contract`.
    """
    encoders = {name: topology.encoder(name) for name, topic in topology.topics.items() if topic.is_input}
    for line in read_lines(paths):
        if isinstance(line, BadLine):
            yield line
            continue
        encode = encoders.get(line.topic)
        if encode is None:
            reason = f"{line.topic[:100]!r} is no input topic ({', '.join(encoders)})"
            yield BadLine(line.file, line.number, reason, "contract", line.raw)
            continue
        if line.payload is not None:
            yield line, line.payload
            continue
        # The only required number: the Avro writer would cut a fraction off it without a word.
        if isinstance(line.value.get("event_time"), float | bool):
            yield BadLine(line.file, line.number, f"{line.topic}: event_time is not a time", "contract", line.raw)
            continue
        try:
            payload = encode(line.value)
        except EncodeError as error:
            yield BadLine(line.file, line.number, f"{line.topic}: {error}", "contract", line.raw)
            continue
        yield line, payload
