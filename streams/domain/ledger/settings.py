"""Every number and name of the money rules; `rules/recognition.json` holds those in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from streams.domain.contract import LIMITS
from streams.domain.ledger import periods
from streams.domain.spelling import bare, beginnings

PAID, PICKED, CONFIRMED = "paid_in_full", "picked_up", "customer_signed"
NEEDS: Final = (PAID, PICKED, CONFIRMED)
"""What may have to be true before revenue is recognised (FIN-01)."""

FEE, COMMISSION, INSURANCE = "fee", "commission", "freight_insurance"
FEES: Final[Mapping[str, str]] = MappingProxyType(
    {FEE: "platform_fees", COMMISSION: "commissions", INSURANCE: "freight_insurance"}
)
"""Kind of a fee -> the account it is debited to (FIN-06)."""


class LedgerError(ValueError):
    """An entry of the recognition table that must not be used; the text names it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """FIN-01: when an order's revenue is recognised.

    needs        all of these, see NEEDS
    window_ms    no cancel mark from the payment in full until this long after it, its end excluded; 0: marks do not
                 count
    wait         whether the window must be over first; else revenue is recognised at once and reversed by a mark
    """

    needs: tuple[str, ...]
    window_ms: int = 0
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """`rules` by channel, `default` for the others. Amounts in minor units, times in ms.

    fees            word of a fee_charged (`fee_type`) -> kind of FEES; with a word of none it is a fee
    rounding_minor  what was paid and the price may differ by so much and still be the same
    mismatch_ms     how long money may not add up before somebody is told: a second payment may be on its way
    most_minor      lines that are worth more together are as good as without prices
    locks           FIN-11: (from when, last month that is locked), rising; from the configured dates of closing
    currency        of orders that name none
    auto_complete   LOG-13: channels on which the courier's signature is the customer's confirmation
    """

    rules: Mapping[str, Rule]
    default: Rule
    fees: Mapping[str, str] = field(default_factory=dict)
    rounding_minor: int = 5
    mismatch_ms: int = 3_600_000
    most_minor: int = LIMITS.amount
    locks: tuple[tuple[int, int], ...] = ()
    currency: str = "CNY"
    auto_complete: frozenset[str] = frozenset()
    _spelled: Mapping[str, Rule] = field(init=False, repr=False, compare=False)
    """`rules` by the `bare` names of the channels."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_spelled", {bare(name): rule for name, rule in self.rules.items()})

    def rule(self, channel: str | None) -> Rule:
        """Of a channel under any of its names, in whichever spelling, or of a shop of it (douyin-shop2)."""
        found = self.rules.get(channel or "")
        if found is None:
            spelled = self._spelled
            found = next((spelled[name] for name in beginnings(channel or "") if name in spelled), self.default)
        return found

    def fee(self, word: str | None, raw: str | None = None) -> str:
        """FIN-06: the kind of a fee. A sender without a word for it may have said it in the original payload: that
        counts where it names one kind and no other.
        """
        told = (word or "").strip().casefold()
        if told or not raw:
            return self.fees.get(told, FEE)
        text = raw.casefold()
        # The bare "fee" stands in every other word for one.
        named = {kind for said, kind in self.fees.items() if said != FEE and said in text}
        return named.pop() if len(named) == 1 else FEE

    @classmethod
    def parse(
        cls, document: Mapping[str, Any], currency: str = "CNY", auto_complete: frozenset[str] = frozenset()
    ) -> Settings:
        """From the shape of `rules/recognition.json`. LedgerError names what must not be used."""
        try:
            close = document["close"]
            return cls(
                rules={name: _rule(name, entry) for name, entry in document["channels"].items()},
                default=_rule("default", document["default"]),
                fees=_fees(document["fees"]),
                rounding_minor=_whole("rounding_minor", document["rounding_minor"]),
                mismatch_ms=_whole("mismatch_ms", document["mismatch_ms"]),
                locks=_locks(close["dates"], _whole("lock_ms", close["lock_ms"])),
                currency=currency,
                auto_complete=auto_complete,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise LedgerError(f"recognition table: {type(error).__name__} {error}") from None


def _rule(name: str, entry: Mapping[str, Any]) -> Rule:
    if unknown := sorted({*entry} - {"needs", "cancel_window_ms", "wait_full_window"}):
        raise LedgerError(f"recognition of {name}: unknown {', '.join(unknown)}")
    needs = tuple(entry["needs"])
    if PAID not in needs or not {*needs} <= {*NEEDS}:
        raise LedgerError(f"recognition of {name}: needs {PAID}, and nothing but {', '.join(NEEDS)}")
    wait = entry.get("wait_full_window", True)
    if type(wait) is not bool:
        raise LedgerError(f"recognition of {name}: wait_full_window is true or false")
    return Rule(needs, _whole(f"cancel_window_ms of {name}", entry.get("cancel_window_ms", 0)), wait)


def _fees(entry: Mapping[str, Any]) -> Mapping[str, str]:
    if unknown := sorted({*entry} - {*FEES}):
        raise LedgerError(f"fees of unknown kinds: {', '.join(unknown)}")
    words = [(word.casefold(), kind) for kind, said in entry.items() for word in (kind, *said)]
    found = dict(words)
    if wrong := sorted(word for word, kind in words if found[word] != kind):
        raise LedgerError(f"words of two kinds of fees: {', '.join(wrong)}")
    return found


def _locks(dates: Mapping[str, str], lock_ms: int) -> tuple[tuple[int, int], ...]:
    locks = []
    for label, text in dates.items():
        month = periods.month_of(label)
        try:
            close = datetime.fromisoformat(text)
        except ValueError:
            close = None
        if month is None or close is None or close.tzinfo is None:
            raise LedgerError(f"close of {label!r}: YYYY-MM and an ISO 8601 time with an offset")
        locks.append((int(close.timestamp() * 1000) - lock_ms, month))
    return tuple(sorted(locks))


def _whole(name: str, number: Any) -> int:
    if type(number) is not int or number < 0:
        raise LedgerError(f"{name} must be a whole number from 0")
    return number
