"""When an order is compared, what is compared of it, and the numbers it is compared by."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.match import report
from streams.domain.match.compare import FITS, LISTED, OVER, compare, due, ready_at, step
from streams.domain.match.settings import AuditReports, MatchReports
from streams.domain.report.assembly import Outcome
from streams.domain.report.settings import ReportError
from streams.domain.rules import data

SETTINGS = data.match_reports()
T0 = calendar.at(2026, 1, 20, 9)
HOUR, DAY = calendar.HOUR_MS, calendar.DAY_MS
LATER = T0 + 30 * DAY

TOPICS = {
    "loaded": "wms",
    "packed": "wms",
    "package_scanned": "wms",
    "picked_up": "couriers",
    "order_created": "orders",
}


def say(kind: str, after: int = 0, **fields: Any) -> dict[str, Any]:
    topic = fields.pop("topic", TOPICS.get(kind, "payments"))
    name = "-".join(map(str, (kind, after, *fields.values())))
    about = {"topic": topic, "event_type": kind, "event_time": T0 + after, "source": topic, "event_id": name}
    return {**about, "order_guid": "G", "digest": 0, "currency": "CNY", **fields}


def created(total: int | None = 10000, pieces: int = 3, **fields: Any) -> dict[str, Any]:
    line = {"line_no": 1, "sku": "S", "quantity": pieces, "unit_price_minor": None, "is_gift": False}
    return say("order_created", channel="tmall", lines=[line], total_minor=total, **fields)


def paid(amount: int = 10000, after: int = 0, kind: str = "payment_succeeded", **fields: Any) -> dict[str, Any]:
    return say(kind, after, amount_minor=amount, **fields)


def told(*facts: dict[str, Any], now: int = LATER) -> dict[str, Any]:
    row = None
    for fact in facts:
        row = step(row, fact, now, SETTINGS)
    assert row is not None
    return dict(row)


def level(*facts: dict[str, Any], **fields: Any) -> int | None:
    found = told(*facts, **fields).get("found")
    return None if found is None else found["level"]


@pytest.mark.rule("FIN-04")
@pytest.mark.parametrize(
    ("receipt", "found"), [(10000, FITS), (9950, FITS), (9949, OVER), (10050, FITS), (10051, OVER)]
)
def test_more_than_half_a_percent_of_the_price_is_told_and_exactly_so_much_is_not(receipt: int, found: int) -> None:
    assert level(created(), paid(receipt), say("loaded", quantity=3)) == found


@pytest.mark.rule("FIN-04")
@pytest.mark.parametrize(("units", "found"), [(3, FITS), (2, LISTED), (1, OVER), (4, LISTED), (5, OVER), (None, FITS)])
def test_a_gap_of_one_piece_is_listed_and_one_of_two_told(units: int | None, found: int) -> None:
    assert level(created(), paid(), say("loaded", quantity=units)) == found


@pytest.mark.rule("FIN-04", "WMS-04")
def test_gifts_are_pieces_that_are_shipped() -> None:
    lines = [{"line_no": n, "sku": "S", "quantity": 2, "unit_price_minor": 1, "is_gift": n == 2} for n in (1, 2)]
    order = say("order_created", channel="tmall", lines=lines)
    found = told(order, paid(2), say("loaded", quantity=4))["found"]
    assert (found["sales"], found["sold"], found["level"]) == (2, 4, FITS)


@pytest.mark.rule("FIN-04")
def test_the_comparison_is_not_rounded() -> None:
    assert level(created(199), paid(198), say("loaded", quantity=3)) == OVER  # 0.5025 %
    assert level(created(201), paid(200), say("loaded", quantity=3)) == FITS  # 0.4975 %
    assert level(created(0), paid(1), say("loaded", quantity=3)) == OVER
    assert level(created(0), paid(0), say("loaded", quantity=3)) == FITS


@pytest.mark.rule("FIN-04")
def test_an_order_is_compared_as_soon_as_it_is_paid_and_shipped_or_as_long_after_as_a_shop_waits() -> None:
    facts = created(), paid(9000), say("loaded", HOUR, quantity=3)
    assert level(*facts, now=T0 + HOUR) == OVER
    patient = replace(SETTINGS, settle_ms=DAY)
    row: Any = None
    for fact in facts:
        row = step(row, fact, T0 + HOUR, patient)
    assert "found" not in row
    assert row["due"] == T0 + HOUR + DAY
    fired = due(row, row["due"], patient)
    assert fired["found"]["level"] == OVER
    assert "due" not in fired


@pytest.mark.rule("FIN-04")
@pytest.mark.parametrize(
    "fact", [paid(), say("picked_up", waybill_no="W"), paid(kind="receipt_recorded", topic="finance")]
)
def test_what_is_paid_or_shipped_alone_waits_longer(fact: dict[str, Any]) -> None:
    assert level(created(), fact, now=T0 + SETTINGS.age_ms - 1) is None
    assert level(created(), fact, now=T0 + SETTINGS.age_ms) == OVER


@pytest.mark.rule("FIN-04", "FIN-02")
@pytest.mark.parametrize(
    "facts",
    [
        (),
        (paid(2000, kind="deposit_paid"),),
        (paid(), paid(kind="refund_settled")),
        (say("packed", quantity=3),),
        (paid(currency="USD"),),
    ],
)
def test_what_is_no_sale_is_not_compared(facts: tuple[dict[str, Any], ...]) -> None:
    assert level(created(), *facts) is None


@pytest.mark.rule("FIN-04")
def test_a_return_is_no_gap_and_neither_is_money_that_was_too_much_and_went_back() -> None:
    shipped = say("loaded", quantity=3)
    assert level(created(), paid(), shipped, paid(kind="refund_settled", after=DAY)) == FITS
    assert level(created(), paid(), paid(10000, HOUR), shipped) == OVER
    assert level(created(), paid(), paid(10000, HOUR), shipped, paid(kind="refund_settled", after=DAY)) == FITS


@pytest.mark.rule("FIN-04")
def test_what_finance_recorded_goes_before_what_platforms_say() -> None:
    recorded = paid(9949, kind="receipt_recorded", topic="finance")
    row = told(created(), paid(), recorded, say("loaded", quantity=3))
    assert (row["found"]["receipt"], row["found"]["level"]) == (9949, OVER)


@pytest.mark.rule("FIN-04")
def test_a_parcel_told_twice_counts_once_and_each_scan_is_a_piece() -> None:
    twice = say("loaded", waybill_no="W1", quantity=2), say("loaded", HOUR, waybill_no="W1", quantity=2)
    assert told(created(), paid(), *twice)["found"]["shipped"] == 2
    other = say("loaded", waybill_no="W2", quantity=1)
    assert told(created(), paid(), *twice, other)["found"]["shipped"] == 3
    scans = [say("package_scanned", n, waybill_no="W1", quantity=1) for n in range(3)]
    assert told(created(), paid(), *scans, say("picked_up"))["found"]["shipped"] == 3
    assert told(created(), paid(), *scans, say("picked_up"), say("packed", quantity=2))["found"]["shipped"] == 2


@pytest.mark.rule("FIN-04")
def test_a_load_that_does_not_say_how_much_leaves_the_word_to_the_packing() -> None:
    packed = say("packed", waybill_no="W1", quantity=3)
    assert told(created(), paid(), packed, say("loaded", waybill_no="W1"))["found"]["shipped"] == 3
    assert told(created(), paid(), say("loaded", waybill_no="W1"))["found"]["shipped"] is None


@pytest.mark.rule("FIN-10")
def test_whose_fault_a_difference_is() -> None:
    loaded, recorded = say("loaded", quantity=3), paid(9000, kind="receipt_recorded", topic="finance")
    by_hand = say("manual_command", topic="ops", command="move_node")

    def cause(*facts: dict[str, Any]) -> Any:
        return told(created(), *facts)["found"]["cause"]

    assert cause(paid(9000), loaded) == "third_party_error"
    assert cause(paid(), recorded, loaded) == "system_defect"
    assert cause(paid(), say("loaded", quantity=1)) == "system_defect"
    assert cause(paid(9000), loaded, by_hand) == "manual_intervention"
    assert cause(by_hand, paid(), loaded) is None


def test_what_says_nothing_new_changes_nothing() -> None:
    facts = created(), paid(), say("loaded", quantity=3)
    row = told(*facts)
    assert all(step(row, fact, LATER, SETTINGS) is row for fact in facts)
    assert step(None, paid(), LATER, SETTINGS) is None
    assert ready_at(told(created()), SETTINGS) is None
    assert compare(told(created(None), paid(), say("loaded", quantity=3)), SETTINGS) == {
        "sales": None, "receipt": 10000, "sold": 3, "shipped": 3, "gap": 0, "level": FITS, "cause": None,
    }  # fmt: skip


# -- the report -------------------------------------------------------------------------------------------------------


def totals(sales: int, receipt: int, sold: int = 0, shipped: int = 0, due: int = calendar.at(2026, 1, 31, 10)) -> Any:
    sums = [("2026-01\0CNY", [1, sales, receipt, sold, shipped])]
    part = report.part(due, 0, [], [], sums, SETTINGS)
    return report.records(Outcome({}, parts={"match/0": part}), report.period_of(due, SETTINGS), due, SETTINGS)


def levels(found: Any) -> list[str | None]:
    [row] = json.loads(found[1]["rows"])
    return [row["amount_level"], row["units_level"]]


@pytest.mark.rule("FIN-05")
@pytest.mark.parametrize(
    ("other", "found"), [(10000, None), (9950, None), (9949, "warning"), (9500, "warning"), (9499, "critical")]
)
def test_the_totals_of_a_month_may_differ_by_a_limit_and_not_by_more(other: int, found: str | None) -> None:
    assert levels(totals(10000, other)) == [found, None]
    assert levels(totals(0, 0, 10000, other)) == [None, found]


@pytest.mark.rule("FIN-05")
@pytest.mark.parametrize(
    ("at", "watched"),
    [
        (calendar.at(2026, 1, 29), False),
        (calendar.at(2026, 1, 29, 2), True),
        (calendar.at(2026, 2, 1), True),
        (calendar.at(2026, 2, 1, 2), False),
    ],
)
def test_a_month_is_watched_in_its_last_three_days(at: int, watched: bool) -> None:
    assert [record["name"] for record in totals(10000, 10, due=at)][1:2] == ["FIN-05"] * watched
    if watched:
        assert "2026-01" in totals(10000, 10, due=at)[1]["highlights"][0]


@pytest.mark.rule("FIN-05")
def test_an_alert_that_becomes_worse_is_closed_and_opens_anew_and_an_older_run_wakes_nobody() -> None:
    def tell(receipt: int, said: Any, hour: int) -> Any:
        found = totals(10000, receipt, due=calendar.at(2026, 1, 31, hour))
        sends, said = report.tell(found, said, SETTINGS)
        return [(value["do"], value.get("severity")) for _, _, value in sends], said

    first, said = tell(9900, None, 10)
    assert first == [("open", "warning")]
    assert tell(9900, said, 12)[0] == []
    assert tell(10000, said, 8) == ([], said)
    worse, said = tell(9000, said, 12)
    assert worse == [("close", None), ("open", "critical")]
    assert tell(10000, said, 14)[0] == [("close", None)]


@pytest.mark.rule("FIN-10")
def test_the_ten_largest_differences_are_audited_as_the_month_ends() -> None:
    due = calendar.at(2026, 2, 1)
    entries = [[f"G{n:02d}", "tmall", "CNY", 9000, 9000 - n, 1, 1, n, OVER, "system_defect", []] for n in range(12)]
    entries.append(["G99", "tmall", "CNY", 10**6, 10**6 - 99, 2, 1, 99, LISTED, "system_defect", []])
    settings = data.audit_reports()
    parts: Any = {f"match/{n}": report.audit_part(due, n, sorted(entries[n::2], key=lambda e: (-e[8], -e[7])), settings)
                  for n in range(2)}  # fmt: skip
    assert {part["period"] for part in parts.values()} == {"2026-01"}
    [audit] = report.audits(Outcome({}, parts=parts), "2026-01", due, settings)
    assert audit["report_id"] == "FIN-10/2026-01"
    assert [row["order_guid"] for row in json.loads(audit["rows"])] == [f"G{n:02d}" for n in range(11, 1, -1)]
    assert audit["highlights"] == ["2026-01: 10 differences are audited", "system_defect: 10"]
    for wrong in ({"audited": 0}, {"kept_days": True}, {"more": 1}):
        with pytest.raises(ReportError):
            AuditReports.parse({"grace_ms": 1, "kept_days": 1, "audited": 1, **wrong})


@pytest.mark.rule("FIN-04")
def test_each_voucher_has_a_link_its_senders_own_or_the_record_that_keeps_it() -> None:
    seen = "https://vouchers.example.com/receipt.png"
    long = "https://vouchers.example.com/" + "x" * 500
    row = told(created(raw="the payload itself"), paid(9000, raw=seen), paid(1, 1, raw="https://a b"), paid(2, 2))
    row = dict(step(row, say("loaded", 3, quantity=1, waybill_no="W", raw=long), LATER, SETTINGS) or {})
    row = dict(step(row, paid(5, 4, kind="receipt_recorded", topic="finance", raw=seen + "2"), LATER, SETTINGS) or {})
    links = report.vouchers("G", row)
    assert links[0] == ["sales", "audit-log/G"]
    assert ["receipt", seen] in links
    assert ["receipt", seen + "2"] in links
    booked = [link for of, link in links if of == "receipt" and link.startswith("ledger-entries/G/receipt/")]
    assert len(booked) == 2
    assert links[-1] == ["shipment", "audit-log/G"]
    assert report.listed("G", row, row["found"])[-1] == links


@pytest.mark.rule("FIN-04")
def test_an_order_is_forgotten_when_nothing_of_it_is_open_and_nothing_was_heard_for_long() -> None:
    days = SETTINGS.forget_days
    fits = told(created(), paid(after=DAY), say("loaded", 2 * DAY, quantity=3))
    over = told(created(), paid(1, DAY), say("loaded", 2 * DAY, quantity=3))
    last = T0 + 2 * DAY
    begin = calendar.day_start(last) + days * DAY
    assert report.kept_until(fits, begin - 1, SETTINGS) == last
    assert report.kept_until(fits, begin, SETTINGS) is None
    assert report.kept_until(over, begin, SETTINGS) == begin, "it stays for as long as it is open"
    assert report.kept_until({**fits, "told": {"sales": 1}}, begin, SETTINGS) == begin, "its alert is to be closed"
    key = report.made_key(last, "G")
    assert key >= report.forget_until(begin - 1, SETTINGS)
    assert key < report.forget_until(begin, SETTINGS)


def test_the_worst_come_first() -> None:
    found = [{"gap": gap, "level": level} for gap, level in ((10**18, OVER), (5, OVER), (0, OVER), (9, LISTED))]
    keys = [report.open_key("G", entry) for entry in found]
    assert keys == sorted(keys)


@pytest.mark.parametrize(
    "wrong",
    [
        {"every_ms": 7 * HOUR},
        {"grace_ms": 7200000},
        {"rows_per_step": 0},
        {"age_ms": 1, "settle_ms": 2},
        {"pieces": "1"},
        {"forget_days": 61},
        {"more": 1},
    ],
)
def test_a_number_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    names = [name for name in MatchReports.__slots__ if name != "money"]
    good = {name: getattr(SETTINGS, name) for name in names}
    assert MatchReports.parse(good, SETTINGS.money) == SETTINGS
    with pytest.raises(ReportError):
        MatchReports.parse({**good, **wrong}, SETTINGS.money)


def test_runs_are_at_even_hours_of_shanghai() -> None:
    noon = calendar.at(2026, 1, 20, 12)
    assert SETTINGS.next_run(noon - 1) == noon
    assert SETTINGS.next_run(noon) == noon + 2 * HOUR
    assert report.period_of(noon, SETTINGS) == "2026-01-20T12:00"
    assert replace(SETTINGS, every_ms=HOUR).next_run(noon) == noon + HOUR
