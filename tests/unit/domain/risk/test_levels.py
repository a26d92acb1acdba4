"""Scores, seasons, levels, lock, advice, and the rules that stand beside the score (RSK-01, RSK-03 to RSK-11)."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.risk.settings import SIGNALS, RiskError, Settings
from streams.domain.rules.data import FOLDER
from tests.unit.domain.risk.desk import DAY, GUID, HOUR, MINUTE, PEAK, SETTINGS, T0, Desk, created, fact, paid

DOCUMENT = json.loads((FOLDER / "risk.json").read_text(encoding="utf-8"))
OTHER = "DB20260512BBBBBBBBBBBB"


def weighing(**weights: float) -> Settings:
    document = deepcopy(DOCUMENT)
    for name, weight in weights.items():
        document["signals"][name]["weight"] = weight
    return Settings.parse(document)


def trio(t0: int) -> list[dict[str, Any]]:
    """Address twice, a chat after payment, and a label that takes twice the mean: the article's own three."""
    prints = [fact("wms", "label_printed", t0, OTHER, duration_ms=1000) for _ in range(3)]
    return [
        created(t0, OTHER),
        *prints,
        created(t0, customer_id="C1"),
        fact("orders", "address_changed", t0),
        fact("orders", "address_changed", t0 + MINUTE),
        paid(t0),
        fact("service", "chat_opened", t0 + 5000),
        fact("wms", "label_printed", t0 + MINUTE, duration_ms=2000),
    ]


@pytest.mark.rule("RSK-01")
@pytest.mark.rule("RSK-03")
def test_vector_two_signals_are_nothing_the_third_makes_it_orange() -> None:
    desk = Desk().say(*trio(T0)[:-1])
    assert (desk.signals(), desk.levels()) == ({"address_change", "chat_after_payment"}, [])
    [warning] = desk.say(trio(T0)[-1]).warnings()
    assert (warning["level"], warning["score"], warning["season"], warning["locked"]) == (
        "orange",
        2.6,
        "normal",
        False,
    )
    assert desk.findings("RSK-03") == ["open"]
    assert desk.findings("RSK-04") == []


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("RSK-05")
def test_vector_in_the_peak_season_a_fourth_signal_locks() -> None:
    desk = Desk().say(*trio(PEAK))
    [orange] = desk.warnings()
    assert (orange["score"], orange["season"]) == (3.14, "peak")
    assert {cause["type"]: cause["weight"] for cause in orange["signals"]} == {
        "address_change": 0.8,
        "chat_after_payment": 1.56,
        "label_surge": 0.78,
    }
    desk.say(fact("service", "chat_message", PEAK + 2 * MINUTE, text="急用"))
    red = desk.warnings()[-1]
    assert (desk.levels(), red["score"], red["locked"]) == (["orange", "red"], 4.05, True)
    assert [fact["locked"] for fact in desk.told()] == [False, True]
    assert desk.findings("RSK-04") == ["open"]


@pytest.mark.rule("RSK-03")
@pytest.mark.parametrize(("weight", "levels"), [(2.5, ["orange"]), (2.49, [])])
def test_orange_is_reached_at_its_threshold(weight: float, levels: list[str]) -> None:
    assert Desk(weighing(page_dwell=weight)).say(created(page_dwell_s=200)).levels() == levels


@pytest.mark.rule("RSK-04")
@pytest.mark.parametrize(("weight", "levels"), [(4.0, ["orange", "red"]), (3.99, ["orange"])])
def test_red_is_reached_at_its_threshold_and_one_signal_may_cross_both(weight: float, levels: list[str]) -> None:
    desk = Desk(weighing(page_dwell=weight)).say(created(page_dwell_s=200))
    assert desk.levels() == levels
    assert [fact["locked"] for fact in desk.told()] == [len(levels) == 2]


@pytest.mark.rule("RSK-03")
def test_a_crossing_is_told_once_however_many_signals_follow() -> None:
    desk = Desk(weighing(page_dwell=2.5)).say(created(page_dwell_s=200))
    desk.say(fact("service", "chat_message", T0, text="急用"), fact("service", "chat_message", T0 + 1, text="急用"))
    assert desk.levels() == ["orange"]


@pytest.mark.rule("RSK-01")
@pytest.mark.parametrize("end", [("orders", "cancel_marked"), ("orders", "buyer_confirmed")])
def test_signals_live_until_the_order_is_signed_by_the_customer_or_closed(end: tuple[str, str]) -> None:
    desk = Desk(weighing(page_dwell=2.4)).say(created(page_dwell_s=200), paid(), fact(*end, T0 + 1))
    desk.say(fact("service", "chat_message", T0 + 2, text="急用")).pass_to(T0 + 9 * DAY)
    assert desk.levels() == []
    assert desk.findings("RSK-10") == []


@pytest.mark.rule("RSK-01", "RSK-04")
@pytest.mark.parametrize("end", [("orders", "cancel_marked"), ("orders", "buyer_confirmed")])
def test_the_end_of_an_order_closes_its_alerts_once_and_leaves_its_lock(end: tuple[str, str]) -> None:
    desk = Desk(weighing(page_dwell=4.0)).say(created(page_dwell_s=200), fact(*end, T0 + 1), fact(*end, T0 + 2))
    assert (desk.findings("RSK-03"), desk.findings("RSK-04")) == (["open", "close"], ["open", "close"])
    [locked] = desk.told()
    assert locked["locked"]
    assert desk.say(unlock(T0 + 3)).told()[-1].get("refused") is None


@pytest.mark.rule("RSK-04")
def test_an_order_that_is_locked_after_all_its_money_went_back_leaves_no_alert() -> None:
    back = fact("payments", "refund_settled", T0 + 2, amount_minor=30000)
    desk = Desk(weighing(page_dwell=2.6, urgent_words=2.0)).say(created(page_dwell_s=200), paid(), back)
    desk.say(fact("service", "chat_message", T0 + 3, text="急用"))
    assert desk.findings("RSK-04") == ["open", "close"]


def unlock(at: int, guid: str = GUID) -> dict[str, Any]:
    return fact("ops", "manual_command", at, guid, command="unlock_order", operator="li", reason="spoke to him")


@pytest.mark.rule("RSK-04")
def test_a_person_unlocks_and_it_is_not_locked_again() -> None:
    desk = Desk(weighing(page_dwell=4.0)).say(created(page_dwell_s=200))
    command = unlock(T0 + 1)
    desk.say(command, command, fact("service", "chat_message", T0 + 2, text="急用"))
    locked, unlocked = desk.told()
    assert (locked["locked"], unlocked["locked"]) == (True, False)
    assert (unlocked["operator"], unlocked["reason"]) == ("li", "spoke to him")
    assert desk.findings("RSK-04") == ["open", "close"]
    assert desk.levels() == ["orange", "red"]


@pytest.mark.rule("RSK-04")
def test_what_is_not_locked_cannot_be_unlocked() -> None:
    [told] = Desk().say(created(), unlock(T0)).told()
    assert told["refused"]


@pytest.mark.rule("RSK-04", "ST-06")
@pytest.mark.parametrize("operator", [None, "", " "])
def test_nobody_unlocks_without_a_name(operator: str | None) -> None:
    desk = Desk(weighing(page_dwell=4.0)).say(created(page_dwell_s=200), {**unlock(T0 + 1), "operator": operator})
    _, refused = desk.told()
    assert (refused["locked"], refused["refused"]) == (True, "unlock_order needs an operator")
    assert desk.findings("RSK-04") == ["open"]
    unlocked = desk.say({**unlock(T0 + 2), "reason": None}).told()[-1]
    assert (unlocked["locked"], unlocked.get("refused"), unlocked["reason"]) == (False, None, "unlocked by hand")
    assert desk.findings("RSK-04") == ["open", "close"]


@pytest.mark.rule("RSK-04")
@pytest.mark.rule("RSK-06")
def test_the_root_causes_are_ranked_with_evidence_and_advice() -> None:
    [warning] = Desk().say(*trio(T0)).warnings()
    assert [cause["type"] for cause in warning["signals"]] == ["chat_after_payment", "address_change", "label_surge"]
    assert all(cause["evidence"] and cause["at"] for cause in warning["signals"])
    assert warning["advice"][0] == SETTINGS.signals["chat_after_payment"].advice
    assert len(warning["advice"]) == 3


@pytest.mark.rule("RSK-06")
@pytest.mark.parametrize("name", SIGNALS)
def test_a_table_with_a_signal_that_has_no_advice_is_not_used(name: str) -> None:
    document = deepcopy(DOCUMENT)
    document["signals"][name]["advice"] = " "
    with pytest.raises(RiskError, match=name):
        Settings.parse(document)


@pytest.mark.rule("RSK-02")
@pytest.mark.parametrize(
    "wrong",
    [
        {"orange": 4.0},
        {"orange": 2.5001},
        {"favours": {"peak": "speed"}},
        {"seasons": [{"season": "peak", "from": "06-20", "to": "06-01"}]},
        {"seasons": [{"season": "peak", "from": "06-31", "to": "07-01"}]},
        {"seasons": [{"season": "carnival", "from": "06-01", "to": "07-01"}]},
        {"signals": {}},
        {"limits": {"no_such_limit": 1}},
        {"orange": float("nan")},
        {"red": float("inf")},
        {"version": "one"},
        {"limits": {**DOCUMENT["limits"], "stall_ms": -1}},
        {"limits": {**DOCUMENT["limits"], "chases": 0}},
        {"limits": {**DOCUMENT["limits"], "ip_refunds": 0}},
        {"limits": {**DOCUMENT["limits"], "dwell_s": True}},
        {"limits": {**DOCUMENT["limits"], "night_from": "ten"}},
        {"limits": {**DOCUMENT["limits"], "night_from": "23:30"}},
        {"limits": {**DOCUMENT["limits"], "node_sla_ms": {"picking": 0}}},
        {"limits": {**DOCUMENT["limits"], "node_sla_ms": {"picking": "7200000"}}},
        {"limits": {**DOCUMENT["limits"], "high_value_minor": {"CNY": 1.5}}},
    ],
)
def test_a_table_that_is_wrong_is_not_used(wrong: dict[str, Any]) -> None:
    with pytest.raises(RiskError):
        Settings.parse({**deepcopy(DOCUMENT), **wrong})


@pytest.mark.rule("RSK-02")
def test_the_table_holds_the_twelve_weights_of_the_catalogue() -> None:
    weights = (800, 1200, 600, 400, 400, 700, 600, 700, 1000, 500, 300, 600)
    assert tuple(SETTINGS.signals[name].weight for name in SIGNALS) == weights


@pytest.mark.rule("RSK-05")
@pytest.mark.parametrize(
    ("date", "season"),
    [
        ((2026, 5, 31), "normal"),
        ((2026, 6, 1), "peak"),
        ((2027, 6, 20), "peak"),
        ((2026, 6, 21), "normal"),
        ((2026, 1, 15), "peak"),
        ((2027, 1, 15), "normal"),
        ((2026, 3, 1), "low"),
    ],
)
def test_seasons_go_by_the_business_day(date: tuple[int, int, int], season: str) -> None:
    start = calendar.at(*date)
    assert SETTINGS.season(start) == SETTINGS.season(start + DAY - 1) == season


@pytest.mark.rule("RSK-05")
def test_the_low_season_favours_quality_and_the_peak_season_timeliness() -> None:
    quality = {"address_change", "page_dwell", "coupon_depth", "ip_refunds", "earlier_cancellation"}
    timely = {name for name in SIGNALS if SETTINGS.weight(name, "peak") > SETTINGS.weight(name, "normal")}
    assert timely == set(SIGNALS) - quality - {"night_payment"}
    assert {n for n in SIGNALS if SETTINGS.weight(n, "low") == 1300 * SETTINGS.signals[n].weight} == quality


@pytest.mark.rule("RSK-07")
@pytest.mark.parametrize(("total", "called"), [(500_000, ["open"]), (499_999, [])])
def test_the_second_address_change_of_a_high_value_order_asks_for_a_call(total: int, called: list[str]) -> None:
    desk = Desk().say(created(customer_id="C1", total_minor=total), fact("orders", "address_changed", T0))
    assert desk.findings("RSK-07") == []
    desk.say(fact("orders", "address_changed", T0 + 3 * DAY), fact("orders", "address_changed", T0 + 4 * DAY))
    assert desk.findings("RSK-07") == called


@pytest.mark.rule("RSK-07")
def test_the_price_of_an_order_whose_total_nobody_told_is_that_of_its_lines() -> None:
    frame = {"line_no": 1, "sku": "FRAME", "quantity": 2, "unit_price_minor": 250_000}
    desk = Desk().say(created(total_minor=None, lines=[frame]))
    desk.say(fact("orders", "address_changed", T0 + HOUR), fact("orders", "address_changed", T0 + 9 * HOUR))
    assert desk.findings("RSK-07") == ["open"]


@pytest.mark.rule("RSK-10")
@pytest.mark.parametrize(
    ("payments", "back", "findings"),
    [
        ([29_000], 29_000, []),  # less than the price was paid, and all of it is back
        ([30_000, 30_000], 30_000, ["open"]),  # it was paid twice, and one is back
        ([30_000], 29_999, ["open"]),
    ],
)
def test_an_order_ends_when_all_that_was_paid_is_back(payments: list[int], back: int, findings: list[str]) -> None:
    desk = Desk().say(created(), *(paid(T0 + n) | {"amount_minor": sum_} for n, sum_ in enumerate(payments)))
    desk.say(fact("payments", "refund_settled", T0 + HOUR, amount_minor=back, currency="CNY"))
    assert desk.pass_to(T0 + 2 * DAY).findings("RSK-10") == findings


@pytest.mark.rule("RSK-07")
def test_whoever_confirmed_and_changes_the_address_once_more_is_called_once_more() -> None:
    changes = [fact("orders", "address_changed", T0 + n * HOUR) for n in (1, 2, 4, 5)]
    answer = fact("service", "voice_call_result", T0 + 3 * HOUR, result="confirmed", ticket_code=f"RSK-07/{GUID}")
    desk = Desk().say(created(total_minor=500_000), paid(), *changes[:2], answer, changes[2])
    assert desk.findings("RSK-07") == ["open", "close", "open"]
    assert desk.say(changes[3]).findings("RSK-07") == ["open", "close", "open"]
    desk.say(fact("wms", "loaded", T0 + 6 * HOUR), fact("orders", "address_changed", T0 + 7 * HOUR))
    assert desk.findings("RSK-07") == ["open", "close", "open", "close"]


@pytest.mark.rule("RSK-10", "FIN-07")
@pytest.mark.parametrize(
    ("closed_at", "refunded_at", "findings"),
    [(HOUR, 2 * HOUR, ["open"]), (2 * HOUR, HOUR, ["open"]), (DAY + HOUR, DAY + 2 * HOUR, ["open", "close", "open"])],
)
def test_an_order_that_is_called_closed_for_a_part_paid_back_is_still_watched(
    closed_at: int, refunded_at: int, findings: list[str]
) -> None:
    word = {"known": True, "state": None, "node": None, "flags": ["closed"]}
    events = [
        fact("orders", "status_changed", T0 + closed_at, mapped=word),
        fact("payments", "refund_settled", T0 + refunded_at, amount_minor=10_000, currency="CNY"),
    ]
    desk = Desk().say(created(), paid(), *sorted(events, key=lambda one: one["event_time"]))
    assert desk.pass_to(T0 + 3 * DAY).findings("RSK-10") == findings
    desk.say(fact("payments", "refund_settled", T0 + 4 * DAY, amount_minor=20_000, currency="CNY"))
    assert desk.findings("RSK-10") == [*findings, "close"]


@pytest.mark.rule("RSK-07")
def test_the_call_before_the_shipment_is_no_matter_any_more_once_the_goods_have_left() -> None:
    desk = Desk().say(created(customer_id="C1", total_minor=500_000), paid())
    desk.say(fact("orders", "address_changed", T0 + HOUR), fact("orders", "address_changed", T0 + 2 * HOUR))
    desk.say(fact("wms", "loaded", T0 + 3 * HOUR), fact("couriers", "picked_up", T0 + 4 * HOUR))
    assert desk.findings("RSK-07") == ["open", "close"]
    late = Desk().say(created(customer_id="C1", total_minor=500_000), paid(), fact("wms", "loaded", T0 + HOUR))
    late.say(fact("orders", "address_changed", T0 + 2 * HOUR), fact("orders", "address_changed", T0 + 3 * HOUR))
    assert late.findings("RSK-07") == ["open"], "the parcel is on its way to where nobody may be"


@pytest.mark.rule("RSK-07")
@pytest.mark.parametrize(
    ("result", "ticket", "findings"),
    [
        ("confirmed", f"RSK-07/{GUID}", ["open", "close"]),
        ("wrong size", f"RSK-07/{GUID}", ["open", "close"]),
        ("no_answer", f"RSK-07/{GUID}", ["open"]),
        ("wrong size", "AS-1", ["open"]),
    ],
)
def test_the_call_before_the_shipment_is_made_once_the_customer_has_answered(
    result: str, ticket: str, findings: list[str]
) -> None:
    changes = [fact("orders", "address_changed", T0 + n * HOUR) for n in (1, 2)]
    answer = fact("service", "voice_call_result", T0 + 3 * HOUR, result=result, ticket_code=ticket)
    desk = Desk().say(created(customer_id="C1", total_minor=500_000), paid(), *changes, answer)
    assert desk.findings("RSK-07") == findings
    assert not desk.tables["orders"][GUID].get("over")
    desk = Desk().say(created(customer_id="C1", total_minor=500_000), paid(), changes[0], answer, changes[1])
    assert desk.findings("RSK-07") == ([] if len(findings) == 2 else ["open"]), "told before the change it is about"
    desk.say(fact("orders", "address_changed", T0 + 4 * HOUR))
    assert desk.findings("RSK-07") == ["open"], "changed once more after the answer, if it was not open yet"
    early = answer | {"event_time": T0 + HOUR}
    assert Desk().say(created(total_minor=500_000), paid(), early, *changes).findings("RSK-07") == ["open"]


@pytest.mark.rule("RSK-10")
@pytest.mark.parametrize(("after", "findings"), [(DAY, []), (DAY + 1, ["open"])])
def test_paid_and_unshipped_for_more_than_24_hours(after: int, findings: list[str]) -> None:
    desk = Desk().say(created(), paid()).pass_to(T0 + after)
    assert desk.findings("RSK-10") == findings
    desk.say(fact("wms", "loaded", T0 + after))
    assert desk.findings("RSK-10") == [*findings, *(["close"] if findings else [])]


@pytest.mark.rule("RSK-10")
def test_an_order_whose_money_is_all_back_is_not_overdue() -> None:
    half: dict[str, Any] = {"amount_minor": 15000, "currency": "CNY"}
    desk = Desk().say(created(), paid(), fact("payments", "refund_settled", T0 + HOUR, **half))
    assert desk.pass_to(T0 + 2 * DAY).findings("RSK-10") == ["open"]
    desk.say(fact("payments", "refund_settled", T0 + 2 * DAY, **half))
    assert desk.findings("RSK-10") == ["open", "close"]
    early = Desk().say(created(), paid(), *[fact("payments", "refund_settled", T0 + HOUR, **half) for _ in range(2)])
    assert early.pass_to(T0 + 2 * DAY).findings("RSK-10") == []


@pytest.mark.rule("RSK-11")
@pytest.mark.parametrize(
    "moved",
    [
        ("wms", "loaded", {}),
        ("couriers", "picked_up", {}),
        ("wms", "packed", {}),
        ("payments", "refund_settled", {"amount_minor": 30000, "currency": "CNY"}),
    ],
)
def test_what_is_no_longer_likely_late_is_told_so(moved: tuple[str, str, dict[str, Any]]) -> None:
    topic, kind, fields = moved
    desk = Desk().say(created(), paid(), fact("wms", "picking_started", T0)).pass_to(T0 + 3 * HOUR)
    assert desk.findings("RSK-11") == ["open"]
    desk.say(fact("wms", "quality_checked", T0 + HOUR))  # told late: by now it is late there as well
    assert desk.findings("RSK-11") == ["open"]
    desk.say(fact(topic, kind, T0 + 3 * HOUR, **fields))
    again = ["open"] if kind == "packed" else []  # it stays there too long again
    assert desk.pass_to(T0 + 6 * HOUR).findings("RSK-11") == ["open", "close", *again]


@pytest.mark.rule("RSK-11")
def test_an_old_fact_does_not_end_the_warning_of_an_order_that_went_on_and_is_late_there_as_well() -> None:
    first = created(page_dwell_s=200)
    desk = Desk().say(first, paid(), fact("service", "chat_message", T0, text="急用"), fact("wms", "allocated", T0))
    desk.pass_to(T0 + 2 * HOUR + 1)  # overdue there: by its signals alone it is late wherever it goes
    desk.say(fact("wms", "packed", T0 + 3 * HOUR), first, fact("service", "chat_opened", T0 + HOUR))
    assert desk.pass_to(T0 + 6 * HOUR).findings("RSK-11") == ["open"]


@pytest.mark.rule("RSK-11")
def test_an_order_is_likely_late_when_age_over_limit_and_score_make_one() -> None:
    picking = [created(page_dwell_s=200), paid(), fact("wms", "picking_started", T0)]  # 0.4: 60 % of two hours are left
    assert Desk().say(*picking).pass_to(T0 + 72 * MINUTE - 1).findings("RSK-11") == []
    assert Desk().say(*picking).pass_to(T0 + 72 * MINUTE).findings("RSK-11") == ["open"]
    desk = Desk().say(*picking, fact("service", "chat_message", T0 + MINUTE, text="急用"))
    assert desk.findings("RSK-11") == ["open"]
    assert desk.pass_to(T0 + 3 * HOUR).findings("RSK-11") == ["open"]
