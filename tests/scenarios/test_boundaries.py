"""The boundary table and the vectors of the domain for RSK, LOG and ST-10, ST-15: each limit, and the last value before
it, through `oms replay`.

A row tells a story around a limit, once with the last value that does not count and once with the first that does;
nothing else differs between the two.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.agents import ALL
from streams.agents.risk import make as make_risk
from streams.domain import calendar
from streams.domain.risk.settings import Settings
from streams.domain.rules import data
from tests.scenarios.replayed import Replayed, Story

T0 = calendar.at(2026, 5, 12, 10)
"""A day of no season."""
PEAK = calendar.at(2026, 6, 1, 10)
SECOND, MINUTE, HOUR, DAY = 1_000, calendar.MINUTE_MS, calendar.HOUR_MS, calendar.DAY_MS
PROMISED = T0 + 10 * DAY
Reads = Callable[[Replayed], Any]


class Row(NamedTuple):
    """`quiet` and `fires`: the story on each side of the limit with the time to which it runs; `reads`: what must be
    `before`, and `after`."""

    rule: str
    about: str
    quiet: tuple[Story, int]
    fires: tuple[Story, int]
    reads: Reads
    before: Any
    after: Any


def alerts(rule: str, severity: str | None = None) -> Reads:
    """How many alerts of the rule are open."""

    def read(run: Replayed) -> int:
        found = [alert for alert in run.alerts(rule) if alert["status"] != "closed"]
        return sum(severity in (None, alert["severity"]) for alert in found)

    return read


def levels(run: Replayed) -> list[tuple[str, float]]:
    return [(row["level"], row["score"]) for row in run.rows("risk-alerts")]


def calls(run: Replayed) -> int:
    return [row["kind"] for row in run.rows("customer-requests")].count("voice_call")


def timed(
    rule: str, about: str, story: Callable[[], Story], limit: int, reads: Reads, before: Any = 0, after: Any = 1
) -> Row:
    """A limit that does not count when just reached: at `limit` nothing, one millisecond later it fires."""
    return Row(rule, about, (story(), limit), (story(), limit + 1), reads, before, after)


def judged(rule: str, about: str, quiet: Story, fires: Story, reads: Reads, before: Any, after: Any) -> Row:
    """A limit on values, not on time."""
    return Row(rule, about, (quiet, T0), (fires, T0), reads, before, after)


def paid() -> Story:
    return Story().created(T0).paid(T0)


def on_its_way() -> Story:
    return paid().picked_up(T0)


def signed() -> Story:
    return on_its_way().say("couriers", "signed", T0)


def labelled() -> Story:
    return paid().say("wms", "label_printed", T0, waybill_no="W-A1")


def loaded() -> Story:
    return paid().say("wms", "loaded", T0, waybill_no="W-A1")


def failed_print() -> Story:
    return paid().say("wms", "label_print_failed", T0, error="template rendering failed")


def promised(*, out: bool | None) -> Story:
    """`out`: whether the parcel is out for delivery; None: not shipped."""
    story = Story().created(T0, promised_delivery_at=PROMISED).paid(T0)
    if out is not None:
        story.picked_up(T0 + HOUR)
    return story.say("couriers", "out_for_delivery", T0 + 2 * HOUR) if out else story


def trio(at: int, surge: int = 1_470, chat: int = 10 * SECOND, apart: int = 30 * MINUTE, said: str = "") -> Story:
    """Two address changes, a chat after the payment, and a label after three that took 1,000 ms."""
    story = Story().created(at, customer_id="C1")
    for number in range(3):
        story.created(at, f"B{number}").say("wms", "label_printed", at, f"B{number}", duration_ms=1_000, warehouse="HZ")
    story.say("orders", "address_changed", at).say("orders", "address_changed", at + apart)
    story.paid(at + HOUR).say("service", "chat_opened", at + HOUR + chat, text=said)
    return story.say("wms", "label_printed", at + HOUR - MINUTE, duration_ms=surge, warehouse="HZ")


def weighed(*, dwell: int = 0, coupons: int = 0, apart: int = 2 * DAY) -> Story:
    """A chat right after the payment, 1.2, with an urgent word, 0.7; the dwell and the coupons add 0.4 each, two chases
    within a day 0.6."""
    story = Story().created(T0, page_dwell_s=dwell, coupon_count=coupons).paid(T0)
    story.say("service", "chat_opened", T0, text="今天必须到")
    for at in (T0, T0 + apart):
        story.say("service", "chat_message", at, text="催单")
    return story


def refunds(number: int) -> Story:
    """So many refund requests of one ip in a day, of orders with a dwell and a chat each: 0.4 + 1.2 + 1.0 = 2.6."""
    story = Story()
    for n in range(number):
        story.created(T0, f"R{n}", ip="203.0.113.9", page_dwell_s=200).paid(T0, f"R{n}")
        story.say("service", "chat_opened", T0, f"R{n}").say("orders", "refund_requested", T0 + n, f"R{n}")
    return story


def night(at: int) -> Story:
    """0.4 + 0.4 + 1.2 + 0.7 without the night: 2.7; the night adds 0.3."""
    story = Story().created(at - 1, page_dwell_s=200, coupon_count=3).paid(at)
    return story.say("service", "chat_opened", at, text="急用")


def cancelled_before(after: int, apart: int) -> Story:
    """An order cancelled `after` its payment; the next one, `apart` later, has 0.4 + 0.4 + 1.2 + the earlier 0.5."""
    story = Story().created(T0, "P1", customer_id="C1").paid(T0, "P1")
    story.say("orders", "cancel_requested", T0 + after, "P1")
    at = T0 + after + apart
    story.created(at, customer_id="C1", page_dwell_s=200, coupon_count=3).paid(at)
    return story.say("service", "chat_opened", at)


def address(apart: int, total: int = 800_000) -> Story:
    story = Story().created(T0, total_minor=total)
    return story.say("orders", "address_changed", T0).say("orders", "address_changed", T0 + apart)


def picking(*, dwell: int) -> Story:
    """At a node with an SLA of two hours, with 0.4 of weak signals or none."""
    return Story().created(T0, page_dwell_s=dwell).paid(T0).say("wms", "picking_started", T0)


def told_late(lag: int) -> Story:
    """A signature that comes in `lag` after it was made: another order's event has moved the time on."""
    return on_its_way().created(T0 + lag, "B1").say("couriers", "signed", T0)


def complained(times: int) -> Story:
    story = signed()
    for n in range(times):
        story.say("orders", "complaint", T0 + (n + 1) * DAY)
    return story


def refreshed(apart: int) -> Story:
    story = on_its_way()
    for at in (T0, T0 + apart):
        story.say("ops", "manual_command", at, None, command="refresh_waybill", waybill_no="W-A1")
    return story


def regretted(after: int) -> Story:
    return Story().created(T0).paid(T0).say("orders", "cancel_requested", T0 + after)


def popups(number: int) -> Story:
    """Ten failed payments in each of the 24 hours before, and so many in the hour of T0."""
    story = Story().created(T0 - DAY)
    for hour in range(24):
        for n in range(10):
            story.say("payments", "payment_failed", T0 - DAY + hour * HOUR + n, f"F{hour}-{n}")
            story.created(T0 - DAY + hour * HOUR + n, f"F{hour}-{n}")
    for n in range(number):
        story.created(T0 + n, f"F-{n}").say("payments", "payment_failed", T0 + n, f"F-{n}")
    return story


def patterns(run: Replayed) -> list[Any]:
    return [report["highlights"] for report in run.rows("reports") if report["name"] == "RSK-09"]


def requests(kind: str) -> Reads:
    return lambda run: [row["kind"] for row in run.rows("logistics-requests")].count(kind)


def tier(run: Replayed) -> Any:
    return run.states()[-1]["tier"]


ORANGE = [("orange", 2.6)]
ROWS = [
    timed("RSK-10", "paid and unshipped > 24 h", paid, T0 + DAY, alerts("RSK-10")),
    timed("LOG-02", "not picked up > 24 h", loaded, T0 + DAY, alerts("LOG-02")),
    timed("LOG-03", "no movement > 4 h", on_its_way, T0 + 4 * HOUR, alerts("LOG-03", "warning")),
    timed("LOG-03", "no movement > 8 h", on_its_way, T0 + 8 * HOUR, alerts("LOG-03", "critical")),
    timed("LOG-15", "first call > 24 h", signed, T0 + DAY, calls),
    timed("LOG-15", "second call > 72 h", signed, T0 + 3 * DAY, calls, 1, 2),
    timed("LOG-01", "not accepted > 10 min", labelled, T0 + 10 * MINUTE, alerts("LOG-01")),
    timed("ST-15", "at its node > 2 h", failed_print, T0 + 2 * HOUR, alerts("ST-15")),
    timed("ST-10", "no scan > 8 h is abnormal", on_its_way, T0 + 8 * HOUR, alerts("ST-10")),
    timed("RSK-11", "unshipped, promise < 72 h away", lambda: promised(out=None), PROMISED - 3 * DAY, alerts("RSK-11")),
    timed("RSK-11", "on its way, promise < 24 h away", lambda: promised(out=False), PROMISED - DAY, alerts("RSK-11")),
    timed("RSK-11", "out for delivery, promise passed", lambda: promised(out=True), PROMISED, alerts("RSK-11")),
    Row("RSK-11", "age / SLA + score >= 1.0", (picking(dwell=200), T0 + 72 * MINUTE - 1),
        (picking(dwell=200), T0 + 72 * MINUTE), alerts("RSK-11"), 0, 1),
    judged("RSK-03", "2.0 nothing, 2.6 orange", trio(T0, surge=1_469), trio(T0), levels, [], ORANGE),
    judged("RSK-02", "chat within 10 s of the payment", trio(T0, chat=10_001), trio(T0), levels, [], ORANGE),
    judged("RSK-02", "two address changes in 30 min", trio(T0, apart=30 * MINUTE + 1), trio(T0), levels, [], ORANGE),
    judged("RSK-04", "3.14 orange, 4.05 red in the peak season", trio(PEAK), trio(PEAK, said="急用"), levels,
           [("orange", 3.14)], [("orange", 3.27), ("red", 4.05)]),
    judged("RSK-02", "dwell > 180 s", weighed(dwell=180, coupons=3), weighed(dwell=181, coupons=3), levels, [],
           [("orange", 2.7)]),
    judged("RSK-02", "3 coupons", weighed(dwell=200, coupons=2), weighed(dwell=200, coupons=3), levels, [],
           [("orange", 2.7)]),
    judged("RSK-02", "chased twice within a day", weighed(apart=DAY + 1), weighed(apart=DAY), levels, [],
           [("orange", 2.5)]),
    judged("RSK-02", "3 refund requests of an ip in a day", refunds(2), refunds(3), levels, [], ORANGE * 3),
    judged("RSK-02", "paid from 22:00", night(calendar.at(2026, 5, 12, 22) - 1), night(calendar.at(2026, 5, 12, 22)),
           levels, [("orange", 2.7)], [("orange", 3.0)]),
    judged("RSK-02", "paid before 23:30", night(calendar.at(2026, 5, 12, 23, 30)),
           night(calendar.at(2026, 5, 12, 23, 30) - 1), levels, [("orange", 2.7)], [("orange", 3.0)]),
    judged("RSK-02", "an order cancelled within 2 h of its payment", cancelled_before(2 * HOUR + 1, DAY),
           cancelled_before(2 * HOUR, DAY), levels, [], [("orange", 2.5)]),
    judged("RSK-02", "within the last 90 days", cancelled_before(HOUR, 90 * DAY + 1), cancelled_before(HOUR, 90 * DAY),
           levels, [], [("orange", 2.89)]),
    Row("RSK-09", "cancelled within 2 h of the payment", (regretted(2 * HOUR + 1), T0 + 2 * DAY),
        (regretted(2 * HOUR), T0 + 2 * DAY), patterns, [],
        [["1 orders cancelled soon after payment: 1 of them paid from 10:00 on"]]),
    judged("RSK-09", "3 times the failed payments of a mean hour", popups(29), popups(30), alerts("RSK-09"), 0, 1),
    judged("RSK-08", "from 10,000 CNY", Story().created(T0, total_minor=999_999).paid(T0),
           Story().created(T0, total_minor=1_000_000).paid(T0), tier, "L1", "L3"),
    Row("LOG-06", "probed every 30 min", (on_its_way(), T0 + 30 * MINUTE - 1), (on_its_way(), T0 + 30 * MINUTE),
        requests("probe"), 0, 1),
    judged("LOG-09", "looked up once a minute", refreshed(MINUTE - 1), refreshed(MINUTE), requests("refresh"), 1, 2),
    judged("RSK-07", "an order of high value", address(DAY, 499_999), address(DAY, 500_000), alerts("RSK-07"), 0, 1),
    judged("LOG-04", "a signature told > 5 min late", told_late(5 * MINUTE), told_late(5 * MINUTE + 1),
           alerts("LOG-04"), 0, 1),
    judged("LOG-10", "a signature told > 24 h late", told_late(DAY), told_late(DAY + 1), alerts("LOG-10"), 0, 1),
    judged("LOG-11", "the second complaint", complained(1), complained(2), alerts("LOG-11"), 0, 1),
]  # fmt: skip


@pytest.mark.rule("RSK-02", "RSK-03", "RSK-04", "RSK-05", "RSK-07", "RSK-08", "RSK-09", "RSK-10", "RSK-11")
@pytest.mark.rule("LOG-01", "LOG-02", "LOG-03", "LOG-04", "LOG-06", "LOG-09", "LOG-10", "LOG-11", "LOG-15")
@pytest.mark.rule("ST-10", "ST-15")
@pytest.mark.parametrize("row", ROWS, ids=[f"{row.rule} {row.about}" for row in ROWS])
def test_a_limit_counts_on_one_side_only(row: Row, tmp_path: Path) -> None:
    for name, (story, until), wanted in (("quiet", row.quiet, row.before), ("fires", row.fires, row.after)):
        (tmp_path / name).mkdir()
        run = story.replay(tmp_path / name, until)
        assert run.rows("dead-letters") == []
        assert row.reads(run) == wanted, name


@pytest.mark.rule("RSK-03", "RSK-04")
@pytest.mark.parametrize(
    ("weight", "wanted"), [(2.499, []), (2.5, ["orange"]), (3.999, ["orange"]), (4.0, ["orange", "red"])]
)
def test_a_score_counts_from_its_threshold_on(weight: float, wanted: list[str], tmp_path: Path) -> None:
    document = data.risk_document()
    document["signals"]["page_dwell"]["weight"] = weight
    agents = [make_risk(Settings.parse(document)) if agent.name == "risk" else agent for agent in ALL]
    run = Story().created(T0, page_dwell_s=181).replay(tmp_path, agents=agents)
    assert [row["level"] for row in run.rows("risk-alerts")] == wanted
    assert [("locked" in state["flags"]) for state in run.states()][-1] is ("red" in wanted)
