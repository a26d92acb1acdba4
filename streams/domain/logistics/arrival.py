"""LOG-16: when a parcel will arrive, by what parcels of the same courier to the same place took of late.

    logistics    at the pickup asks, at the signature tells how long it took     -> lane-facts, by courier
    estimates    median of the lane's last 30 days                               -> order-facts, to the order

A lane is (courier, province, city); no other part of an address leaves the order. Of a lane with too few parcels the
courier's in the province count, then all of the courier's, then a fixed time. One row of counts per scope:

    days    {day of the signature: {bucket: parcels}}, days of Asia/Shanghai, buckets of `bucket_ms`
    sum     {bucket: parcels} over all days: an answer looks at this alone

What is counted is a function of the set of parcels told; what was answered depends on which had been told by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from .. import calendar
from ..contract import LIMITS
from ..order import money
from .waybill import Row

Counts = Mapping[str, Any]
Place = tuple[str, str]
"""Province and city; "" for one that is not known."""
Get = Callable[[str], "Counts | None"]
Send = tuple[str, str, dict[str, Any]]

FACTS: Final = "lane-facts"
ORDERS: Final = "order-facts"
ESTIMATED: Final = "_estimated"
"""{waybill, picked_at, arrives_at, basis, parcels}, by the estimates agent."""
ASK: Final = "ask"
ARRIVED: Final = "arrived"
BASES: Final = ("lane", "province", "courier")
DEFAULT: Final = "default"
NOWHERE: Final[Place] = ("", "")
_TOLD: Final = 3
"""Items of a destination before the carrier."""
_WORD: Final = 32
"""Characters of a province, city or carrier; what is longer is none."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """Times in ms. `window_days`: how long a parcel counts; `enough`: parcels of a scope that make a median;
    `most_ms`: what took longer says nothing of the lane; `default_ms`: where nothing is known."""

    window_days: int = 30
    bucket_ms: int = calendar.HOUR_MS
    most_ms: int = 30 * calendar.DAY_MS
    enough: int = 10
    default_ms: int = 3 * calendar.DAY_MS


# -- logistics: what is said of a waybill -----------------------------------------------------------------------------


def place_of(address: Any) -> Place:
    """Province and city of an order's address; nothing else of it."""
    found = address if isinstance(address, Mapping) else {}
    return _word(found.get("province")), _word(found.get("city"))


def destination(row: list[Any] | None, fact: Mapping[str, Any]) -> list[Any] | None:
    """[at, province, city, carrier?, price?, currency?] after an order_created or address_changed: the latest address
    stands, and the first carrier that the shop named. The object given if the fact says nothing new."""
    place, carrier, new = place_of(fact.get("address")), _word(fact.get("carrier")), row
    told = [fact["event_time"], *place]
    if place != NOWHERE and (row is None or told > row[:_TOLD]):
        new = [*told, *(row or ())[_TOLD:]]
    if carrier and carrier_of(new) is None:
        new = [*(new or (0, *NOWHERE))[:_TOLD], carrier, *(new or ())[_TOLD + 1 :]]
    if fact.get("event_type") == "order_created" and price_of(new) is None:
        price, _, _ = money.price(dict(fact), LIMITS.amount)
        if price:
            new = [*(new or (0, *NOWHERE))[:_TOLD], carrier_of(new), price, fact.get("currency")]
    return new


def carrier_of(row: list[Any] | None) -> str | None:
    """Who is to carry the order's parcels by the word of the shop; None if it did not say."""
    return row[_TOLD] if row is not None and len(row) > _TOLD else None


def price_of(row: list[Any] | None) -> tuple[int, str | None] | None:
    """What the order costs, minor units, and its currency if that was told; None if nobody told a price."""
    return (row[_TOLD + 1], row[_TOLD + 2]) if row is not None and len(row) > _TOLD + 1 else None


def _word(value: Any) -> str:
    text = " ".join(value.replace("\0", " ").split()) if type(value) is str else ""
    return text if len(text) <= _WORD else ""


def is_news(row: Row) -> bool:
    """Whether something is to be asked or told of the waybill."""
    if "ended" in row:
        return "timed" not in row and row["picked"] < row["ended"]
    return "picked" in row and row.get("asked") != row["picked"]


def tell(guid: str, number: str, row: Row, place: Place) -> tuple[Row, Send]:
    """The row that remembers it, and the message. Only where `is_news`. A signature without a movement before it says
    nothing of how long the way took; a pickup that turns out to have been earlier is asked for again."""
    courier: str = row["courier"]
    said: dict[str, Any] = {"courier": courier, "province": place[0], "city": place[1]}
    if "ended" in row:
        said |= {"do": ARRIVED, "at": row["ended"], "took": row["ended"] - row["picked"]}
        return {**row, "timed": 1}, (FACTS, courier, said)
    said |= {"do": ASK, "at": row["picked"], "order_guid": guid, "waybill": number}
    return {**row, "asked": row["picked"]}, (FACTS, courier, said)


# -- estimates: one courier's lanes -----------------------------------------------------------------------------------


def scopes(said: Mapping[str, Any]) -> list[str]:
    """Keys of the rows that the lane belongs to: its own, its province, its courier; "" for one that is not known."""
    courier, province, city = said["courier"], said["province"], said["city"]
    lane = f"{courier}\0{province}\0{city}" if province and city else ""
    return [lane, f"{courier}\0{province}" if province else "", courier]


def count(row: Counts | None, said: Mapping[str, Any], settings: Estimates) -> Counts | None:
    """The row of a scope with a parcel that arrived; the same object if it is too old, or took too long, to count."""
    day, took = calendar.day_number(said["at"]), said["took"]
    if not 0 < took <= settings.most_ms:
        return row
    before: Counts = row or {"days": {}, "sum": {}}
    newest = max(map(int, before["days"]), default=day)
    if day <= newest - settings.window_days:
        return row
    new = _without(before, max(newest, day) - settings.window_days)
    name, bucket = str(day), str(took // settings.bucket_ms)
    of_day, total = new["days"].get(name, {}), new["sum"]
    return {
        "days": {**new["days"], name: {**of_day, bucket: of_day.get(bucket, 0) + 1}},
        "sum": {**total, bucket: total.get(bucket, 0) + 1},
    }


def aged(row: Counts, at: int, settings: Estimates) -> Counts | None:
    """The row at time `at` (ms), or None if nothing of it counts any more."""
    new = _without(row, calendar.day_number(at) - settings.window_days)
    return new if new["days"] else None


def due_at(row: Counts, settings: Estimates) -> int:
    """When its newest day counts no more, ms."""
    day = max(map(int, row["days"])) + settings.window_days
    return day * calendar.DAY_MS - calendar.SHANGHAI_OFFSET_MS


def _without(row: Counts, last: int) -> Counts:
    """Without all days up to `last`."""
    old = [day for day in row["days"] if int(day) <= last]
    if not old:
        return row
    total = dict(row["sum"])
    for day in old:
        for bucket, parcels in row["days"][day].items():
            total[bucket] -= parcels
            if not total[bucket]:
                del total[bucket]
    return {"days": {day: found for day, found in row["days"].items() if day not in old}, "sum": total}


def median(row: Counts | None, settings: Estimates) -> tuple[int, int] | None:
    """(ms, parcels): the middle of the bucket in which the median lies (the lower one of two), or None if there are too
    few parcels."""
    if row is None:
        return None
    parcels = sum(row["sum"].values())
    if parcels < settings.enough:
        return None
    passed = 0
    for bucket, number in sorted((int(name), number) for name, number in row["sum"].items()):
        passed += number
        if passed * 2 >= parcels:
            return bucket * settings.bucket_ms + settings.bucket_ms // 2, parcels
    raise AssertionError("a sum without its half")


def answer(rows: Get, said: Mapping[str, Any], settings: Estimates) -> Send:
    """The estimate for the order that asked. `rows`: key -> row or None."""
    took, basis, parcels = settings.default_ms, DEFAULT, 0
    for name, key in zip(BASES, scopes(said), strict=True):
        row = rows(key) if key else None
        found = median(aged(row, said["at"], settings), settings) if row is not None else None
        if found is not None:
            (took, parcels), basis = found, name
            break
    guid, at, waybill = said["order_guid"], said["at"], said["waybill"]
    fact = {
        "event_type": ESTIMATED,
        "event_id": f"estimate/{waybill}/{at}",
        "source": "estimates",
        "topic": "estimates",
        "event_time": at,
        "order_guid": guid,
        "waybill": waybill,
        "picked_at": at,
        "arrives_at": at + took,
        "basis": basis,
        "parcels": parcels,
    }
    return ORDERS, guid, fact
