"""FIN-06: an amount split over lines so that the parts add up to it."""

from __future__ import annotations

from collections.abc import Sequence


def split(amount: int, weights: Sequence[int]) -> list[int]:
    """Parts in proportion to the weights, all minor units from 0, rounded by largest remainder; of equal remainders the
    first line gets the unit. If no line weighs anything, nothing is split: all parts are 0.

    50.00 over three lines of 100.00 is 16.67, 16.67, 16.66.
    """
    total = sum(weights)
    if total <= 0:
        return [0] * len(weights)
    parts = [amount * weight // total for weight in weights]
    left = amount - sum(parts)
    if left:
        order = sorted(range(len(weights)), key=lambda n: (-(amount * weights[n] % total), n))
        for n in order[:left]:
            parts[n] += 1
    return parts
