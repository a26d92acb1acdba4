"""`oms stock check`: fills the books from a replay's folder or from the broker, and says what does not add up.

On a broker with traffic the topics are read at slightly different moments, so a difference counts only if it is there,
unchanged, when looked at again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streams.commands.common import progress
from streams.commands.stock_books import Books, Finding
from streams.commands.stock_topics import LEDGER, ORDERS, STATES, Follower, lines, require_folder

if TYPE_CHECKING:
    from streams.config import Settings

LOOKS = 4
BETWEEN_S = 1.5
_STEP = 1000


@dataclass(slots=True)
class Verdict:
    """What was looked at and what was found."""

    skus: int
    rows: int
    holds: int
    unproven: int
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "skus": self.skus,
            "ledger_rows": self.rows,
            "holds": self.holds,
            "unproven": self.unproven,
            "findings": [finding.as_json() for finding in self.findings],
        }


def examine(settings: Settings, folder: Path | None) -> Verdict:
    """Read everything and judge. Raises OmsError."""
    if folder is None:
        return _of_broker(settings)
    books = _of_folder(folder)
    return _verdict(books, books.findings())


def _verdict(books: Books, findings: list[Finding]) -> Verdict:
    return Verdict(books.skus, books.rows, len(books.by_order), len(books.cut), findings)


def _of_folder(folder: Path) -> Books:
    require_folder(folder)
    books = Books()
    with progress("adding up") as move:
        for count, (_, row) in enumerate(lines(folder, LEDGER), start=1):
            books.post(row)
            if count % _STEP == 0:
                move(_STEP)
    for sku, state in lines(folder, STATES):
        books.state(sku, state)
    wanted = books.holding()
    for guid, order in lines(folder, ORDERS):
        if guid in wanted and order is not None:
            books.order(order)
    return books


def _of_broker(settings: Settings) -> Verdict:
    from streams import topology

    registry = topology.load(registry=settings.registry)
    decoders = {topic: registry.decoder(topic) for topic in (LEDGER, STATES, ORDERS)}
    books = Books()
    stock = Follower(settings, [LEDGER, STATES])
    try:
        with progress("adding up") as move:
            for count, message in enumerate(stock.to_end(), start=1):
                _post(books, stock, decoders, message)
                if count % _STEP == 0:
                    move(_STEP)
        _read_orders(settings, books, decoders[ORDERS])
        found = books.findings()
        lasting: list[Finding] = found
        for _ in range(LOOKS - 1):
            if not found:
                break
            for message in stock.on(BETWEEN_S):
                _post(books, stock, decoders, message)
            _read_orders(settings, books, decoders[ORDERS])
            before = {finding.identity for finding in found}
            found = books.findings()
            lasting = [finding for finding in found if finding.identity in before]
            if len(lasting) == len(found):
                break
        return _verdict(books, lasting)
    finally:
        stock.close()


def _post(books: Books, stock: Follower, decoders: dict[str, Any], message: Any) -> None:
    topic, value = message.topic(), message.value()
    if topic == STATES:
        books.state(message.key().decode(), None if value is None else decoders[STATES](value))
    elif value is not None:
        books.post(decoders[LEDGER](value), cut=stock.first[topic, message.partition()] > 0)


def _read_orders(settings: Settings, books: Books, decode: Any) -> None:
    """The states of the orders that hold something, if there are any."""
    for value in _states_of(settings, {guid.encode() for guid in books.holding()}):
        books.order(decode(value))


def _states_of(settings: Settings, wanted: set[bytes]) -> Iterator[bytes]:
    from streams.commands.tail import read_to_end

    if not wanted:
        return
    for message in read_to_end(settings, [ORDERS]):
        value = message.value()
        if value is not None and message.key() in wanted:
            yield value
