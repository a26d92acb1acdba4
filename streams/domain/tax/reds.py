"""TAX-09: which lines a refund takes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from streams.domain.ledger.apportion import split


def allocate(amount: int, line_no: int | None, slots: Sequence[tuple[int, int]]) -> tuple[list[int], int]:
    """What a refund of `amount` takes from each of the slots (line_no, what is left of it), and what is more than all
    of them; minor units. First from the refunded line, where one is named; the rest in proportion to what is left.
    """
    takes, missing = [0] * len(slots), amount
    if line_no is not None:
        for n, (number, left) in enumerate(slots):
            if number == line_no:
                takes[n] = min(left, missing)
                missing -= takes[n]
    free = [left - take for (_, left), take in zip(slots, takes, strict=True)]
    rest = min(missing, sum(free))
    for n, part in enumerate(split(rest, free)):
        takes[n] += part
    return takes, missing - rest


def overpaid(paid: int, total: int | None, returned: Mapping[str, int]) -> int:
    """How much of what is refunded next gives back only what was paid above the price; minor units."""
    return 0 if total is None else max(0, paid - total - sum(returned.values()))
