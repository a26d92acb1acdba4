"""Every number of the logistics rules; `rules/logistics.json` holds those in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import calendar
from ..spelling import bare


@dataclass(frozen=True, slots=True)
class Courier:
    """A courier with an interface. `phone`: to call about a parcel. `quota`: calls a day, if they are limited.
    `names`: what others call it besides."""

    phone: str | None = None
    quota: int | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Settings:
    """Times in ms; a limit that is just reached does not count as passed.

    accept_ms     LOG-01: a waybill not accepted by its courier for longer is pushed again, `pushes` times
    pickup_ms     LOG-02: shipped, and not picked up for longer
    stall_ms      LOG-03: no movement for longer is worth watching; stalled_ms: for longer is abnormal
    signed_ms     LOG-04: a signature told later than this; stale_ms: LOG-10, and customers looked at an old state
    history_ms    LOG-08: a signature told later than this is history, and nobody's fault
    probe_ms      LOG-06: a silent waybill is probed this often, for probe_for_ms after its last movement;
                  probe_unnamed_ms where nobody named its courier: by then the logistics lead has been told (LOG-02)
    warn_percent  LOG-07: shares of a courier's daily quota that are told
    stop_percent  LOG-07: from this share on nothing is probed any more: the rest is for pushes
    retired_domains  LOG-07: where no callback may go to
    refresh_ms    LOG-09: a waybill is looked up at once for customer service this often at most
    complaints    LOG-11: so many complaints about a signed waybill open an investigation
    kept_ms       a waybill is forgotten this long after the last that was told of it
    link_ms       LOG-14: how long a confirmation link holds
    call_ms       LOG-15: no word of the customer for longer, and they are called; call_again_ms: a second time
    timeout_ms    LOG-15: no word for longer, and the delivery counts as confirmed
    unreached     LOG-15: results of a call that are no answer; any other but a confirmation is a dispute
    auto_complete LOG-13: channels whose orders the courier's signature completes; their customers are not asked
    couriers      by each of their names, as `courier` or `source` of an event has it. Only those with an interface can
                  be probed, and a waybill of which no courier spoke yet; only those who tell of every scan can stand
                  still.
    courier_of    the name that is kept of a courier, by each of its names, `bare`: one quota for all of them
    """

    accept_ms: int = 10 * calendar.MINUTE_MS
    pushes: int = 3
    pickup_ms: int = calendar.DAY_MS
    stall_ms: int = 4 * calendar.HOUR_MS
    stalled_ms: int = 8 * calendar.HOUR_MS
    signed_ms: int = 5 * calendar.MINUTE_MS
    stale_ms: int = calendar.DAY_MS
    history_ms: int = 30 * calendar.DAY_MS
    probe_ms: int = 30 * calendar.MINUTE_MS
    probe_for_ms: int = 15 * calendar.DAY_MS
    probe_unnamed_ms: int = calendar.DAY_MS
    warn_percent: tuple[int, ...] = (80, 100)
    stop_percent: int = 95
    refresh_ms: int = calendar.MINUTE_MS
    complaints: int = 2
    kept_ms: int = 30 * calendar.DAY_MS
    link_ms: int = 7 * calendar.DAY_MS
    call_ms: int = calendar.DAY_MS
    call_again_ms: int = 3 * calendar.DAY_MS
    timeout_ms: int = 7 * calendar.DAY_MS
    unreached: frozenset[str] = frozenset({"no_answer", "busy", "unreachable", "voicemail", "failed"})
    auto_complete: frozenset[str] = frozenset()
    retired_domains: tuple[str, ...] = ()
    couriers: Mapping[str, Courier] = field(default_factory=dict)
    courier_of: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, document: Mapping[str, Any], auto_complete: frozenset[str] = frozenset()) -> Settings:
        """From the file's numbers and its couriers {name: {phone, quota, names}}. TypeError names what is unknown."""
        listed = {
            name: Courier(**{**entry, "names": (*entry.get("names", ()),)})
            for name, entry in document["couriers"].items()
        }
        courier_of = {bare(each): name for name, courier in listed.items() for each in (name, *courier.names)}
        numbers = {**document["limits"], "warn_percent": tuple(document["limits"]["warn_percent"])}
        return cls(
            **numbers,
            unreached=frozenset(document["unreached"]),
            auto_complete=auto_complete,
            retired_domains=tuple(document["retired_domains"]),
            couriers={**{name: listed[kept] for name, kept in courier_of.items()}, **listed},
            courier_of=courier_of,
        )
