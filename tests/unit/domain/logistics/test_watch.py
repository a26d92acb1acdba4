"""Waybills that stand still: both sides of every limit, and what ends an alert."""

from __future__ import annotations

import json
from itertools import permutations

import pytest

from streams.domain import logistics as rules
from streams.domain.rules import data
from streams.domain.spelling import bare
from tests.unit.domain.logistics.watched import DAY, HOUR, MINUTE, SECOND, T0, Watched

MAPPED = {"known": True, "state": "shipped", "node": "in_transit", "flags": [], "event": None, "axis": None}


LABEL = {
    "topic": "wms",
    "event_type": "label_printed",
    "event_time": T0,
    "event_id": "e1",
    "source": "wms",
    "order_guid": "G1",
    "waybill_no": "W1",
}


@pytest.mark.rule("LOG-01")
def test_a_waybill_that_no_courier_takes_is_pushed_three_times_and_told() -> None:
    it = Watched().say("wms", "label_printed", 0)
    it.wait(10 * MINUTE)
    assert not it.sent
    it.wait(2 * HOUR)
    assert it.requests("push") == [10 * MINUTE + 1, 20 * MINUTE + 1, 30 * MINUTE + 1]
    assert it.alerts("LOG-01") == [("open", 10 * MINUTE + 1), ("open", 20 * MINUTE + 1), ("open", 30 * MINUTE + 1)]
    it.courier("waybill_accepted", 3 * HOUR)
    assert it.alerts("LOG-01")[-1] == ("close", 3 * HOUR)


@pytest.mark.rule("LOG-01", "LOG-07")
def test_a_waybill_is_pushed_to_the_carrier_that_the_shop_named_until_a_courier_speaks() -> None:
    rows = rules.step(None, LABEL, T0, data.logistics(), carrier=lambda: "Zhongtong").rows
    assert rows == {"W1": {"created": T0, "carrier": "zto"}}
    [(_, key, wish), _] = rules.due("G1", rows, T0 + 10 * MINUTE + 1, data.logistics()).sends
    assert (key, wish["do"], wish["courier"]) == ("zto", "push", "zto")
    spoke = {**LABEL, "topic": "couriers", "event_type": "waybill_accepted", "courier": "sf"}
    rows = rules.step(rows, spoke, T0, data.logistics()).rows
    assert rows == {"W1": {"created": T0, "accepted": T0, "courier": "sf"}}


@pytest.mark.rule("LOG-01")
@pytest.mark.parametrize(("taken", "pushed"), [(10 * MINUTE, 0), (10 * MINUTE + 1, 1)])
def test_ten_minutes_are_not_more_than_ten_minutes(taken: int, pushed: int) -> None:
    it = Watched().say("wms", "packed", 0).wait(taken).courier("waybill_accepted", taken + 1).wait(HOUR)
    assert len(it.requests("push")) == pushed


@pytest.mark.rule("LOG-01")
def test_what_a_courier_speaks_of_first_needs_no_push() -> None:
    it = Watched().courier("picked_up", 0).say("wms", "label_printed", -HOUR, told=1)
    assert not it.wait(HOUR).requests("push")


@pytest.mark.rule("LOG-01")
def test_a_waybill_of_a_cancelled_order_is_pushed_no_more_and_its_alert_ends() -> None:
    it = Watched().say("wms", "label_printed", 0).wait(15 * MINUTE).say("orders", "cancel_marked", 15 * MINUTE, None)
    it.wait(2 * HOUR)
    assert it.requests("push") == [10 * MINUTE + 1]
    assert it.alerts("LOG-01") == [("open", 10 * MINUTE + 1), ("close", 15 * MINUTE)]
    it.say("wms", "loaded", 3 * HOUR).wait(2 * DAY)  # it left all the same
    assert [do for do, _ in it.alerts("LOG-02")] == ["open"]


@pytest.mark.rule("LOG-01")
def test_a_cancellation_told_before_the_waybill_counts_for_it() -> None:
    it = Watched().say("orders", "cancel_marked", MINUTE, None).say("wms", "label_printed", 0, told=2 * MINUTE)
    assert not it.wait(DAY).requests("push")
    it.say("orders", "complaint", DAY, None)
    assert it.rows is not None
    assert it.rows["W1"]["complaints"]


@pytest.mark.rule("LOG-01")
def test_pushes_missed_while_nobody_worked_are_made_once() -> None:
    it = Watched().say("wms", "packed", 0).sleep(2 * HOUR)
    assert it.requests("push") == [2 * HOUR]


@pytest.mark.rule("LOG-02")
@pytest.mark.parametrize(("picked", "told"), [(DAY, False), (DAY + 1, True)])
def test_a_parcel_shipped_and_not_picked_up_for_a_day_is_told(picked: int, told: bool) -> None:
    it = Watched().courier("waybill_accepted", 0).say("wms", "loaded", 0).wait(picked)
    assert bool(it.alerts("LOG-02")) is told
    it.courier("picked_up", picked)
    assert [do for do, _ in it.alerts("LOG-02")] == (["open", "close"] if told else [])


@pytest.mark.rule("LOG-02", "LOG-06")
def test_a_silent_waybill_is_probed_every_half_hour_from_the_half_hour_on() -> None:
    it = Watched().courier("waybill_accepted", 0).say("wms", "loaded", 10 * MINUTE)
    it.wait(40 * MINUTE - 1)
    assert not it.requests("probe")
    it.wait(2 * HOUR)
    assert it.requests("probe") == [40 * MINUTE, 70 * MINUTE, 100 * MINUTE]


@pytest.mark.rule("LOG-02", "LOG-06")
def test_a_shipped_waybill_of_which_no_courier_ever_spoke_is_probed() -> None:
    it = Watched().say("wms", "loaded", 0).wait(30 * MINUTE - 1)
    assert not it.requests("probe")
    it.wait(HOUR)
    assert it.requests("probe") == [30 * MINUTE, HOUR]
    assert {value["courier"] for topic, _, value in it.sent if topic == rules.REQUESTS} == {None}
    it.wait(5 * 24 * HOUR)
    assert it.requests("probe")[-1] == 24 * HOUR, "by then a person was told, and nobody to ask is known"


@pytest.mark.rule("LOG-03", "LOG-06")
def test_a_probes_answer_without_a_courier_leaves_open_who_carries_the_parcel() -> None:
    it = Watched().say("wms", "loaded", 0)
    it.courier("probe_result", HOUR, source="probe", courier=None, mapped=MAPPED).wait(12 * HOUR)
    assert it.requests("probe")[-1] == 12 * HOUR
    assert not it.alerts("LOG-03")
    it.courier("scanned", 13 * HOUR).wait(21 * HOUR + 1)
    assert it.alerts("LOG-03/G1") == [("open", 21 * HOUR + 1)]


@pytest.mark.rule("LOG-06")
def test_a_movement_puts_the_probe_off_and_a_signature_ends_it() -> None:
    it = Watched().courier("picked_up", 0).courier("scanned", 29 * MINUTE)
    it.wait(58 * MINUTE)
    assert not it.requests("probe")
    it.wait(59 * MINUTE).courier("signed", 60 * MINUTE).wait(DAY)
    assert it.requests("probe") == [59 * MINUTE]


@pytest.mark.rule("LOG-06")
def test_probes_end_fifteen_days_after_the_last_movement() -> None:
    it = Watched().courier("picked_up", 0).wait(20 * DAY)
    assert it.requests("probe")[-1] == 15 * DAY
    assert len(it.requests("probe")) == 15 * 48


@pytest.mark.rule("LOG-06", "LOG-03")
def test_a_courier_without_an_interface_is_neither_probed_nor_stalled() -> None:
    it = Watched().courier("picked_up", 0, courier="village cart").wait(10 * DAY)
    assert {topic for topic, _, _ in it.sent} == {rules.arrival.FACTS}


@pytest.mark.rule("LOG-03", "LOG-07")
@pytest.mark.parametrize("name", ["ZTO", "zhongtong", "中通", " zto "])
def test_a_courier_is_the_same_by_each_of_its_names(name: str) -> None:
    it = Watched().courier("picked_up", 0, courier=name).wait(8 * HOUR + 1)
    [said] = [value for _, key, value in it.sent if key == "LOG-03/G1/W1"]
    assert "95311" in said["detail"]
    assert {value["courier"] for topic, _, value in it.sent if topic == rules.REQUESTS} == {"zto"}


@pytest.mark.rule("LOG-03", "LOG-06")
def test_every_courier_of_the_status_maps_is_watched_under_all_its_names() -> None:
    known = data.logistics().courier_of
    aggregators = {"kdniao", "kuaidi100", "wechat_local", "any-courier"}  # they speak of others' parcels
    for file in sorted((data.FOLDER / "status").glob("*.json")):
        table = json.loads(file.read_text(encoding="utf-8"))
        if table["topics"] == ["couriers"] and file.stem not in aggregators:
            assert {bare(name) for name in table["names"]} <= {*known}, file.stem


@pytest.mark.rule("LOG-03")
def test_four_hours_without_movement_are_slow_and_eight_are_abnormal_both_beyond_the_limit() -> None:
    it = Watched().courier("picked_up", 0)
    it.wait(4 * HOUR)
    assert not it.alerts("LOG-03/slow")
    it.wait(8 * HOUR)
    assert it.alerts("LOG-03/slow") == [("open", 4 * HOUR + 1)]
    assert not it.alerts("LOG-03/G1")
    it.wait(8 * HOUR + 1)
    assert it.alerts("LOG-03/slow")[-1] == ("close", 8 * HOUR + 1)
    [said] = [value for _, key, value in it.sent if key == "LOG-03/G1/W1"]
    assert "95311" in said["detail"]
    assert "W1" in said["detail"]
    assert f"ticket LOG-03/W1/{T0}" in said["detail"]
    it.courier("scanned", 9 * HOUR)
    assert it.alerts("LOG-03/G1") == [("open", 8 * HOUR + 1), ("close", 9 * HOUR)]
    it.wait(13 * HOUR + 1)
    assert it.alerts("LOG-03/slow")[-1] == ("open", 13 * HOUR + 1)


@pytest.mark.rule("LOG-03", "LOG-06")
def test_a_probes_answer_counts_as_movement_only_if_its_word_proves_one() -> None:
    it = Watched().courier("picked_up", 0)
    it.courier("probe_result", 3 * HOUR, source="probe").wait(4 * HOUR + 1)
    assert it.alerts("LOG-03/slow") == [("open", 4 * HOUR + 1)]
    it.courier("probe_result", 5 * HOUR, source="probe", mapped=MAPPED).wait(8 * HOUR + 1)
    assert it.alerts("LOG-03/slow")[-1] == ("close", 5 * HOUR)
    assert not it.alerts("LOG-03/G1")


@pytest.mark.rule("LOG-03")
def test_an_old_scan_told_late_does_not_end_a_stall() -> None:
    it = Watched().courier("scanned", HOUR).wait(10 * HOUR).courier("scanned", 0, told=11 * HOUR)
    assert it.alerts("LOG-03/G1") == [("open", 9 * HOUR + 1)]


@pytest.mark.rule("LOG-04", "LOG-10")
@pytest.mark.parametrize(
    ("lag", "late", "stale"),
    [
        (5 * MINUTE, 0, 0),
        (5 * MINUTE + 1, 1, 0),
        (DAY, 1, 0),
        (DAY + 1, 1, 1),
        (30 * DAY, 1, 1),
        (30 * DAY + 1, 0, 0),
    ],
)
def test_a_signature_told_late_counts_against_its_courier(lag: int, late: int, stale: int) -> None:
    it = Watched().courier("picked_up", 0, courier="village cart")
    it.courier("signed", HOUR, courier="village cart", told=HOUR + lag)
    assert it.alerts("LOG-04") == [("count", HOUR + lag)] * late
    assert it.alerts("LOG-10") == [("count", HOUR + lag)] * stale


@pytest.mark.rule("LOG-04", "LOG-10")
def test_a_signature_told_late_names_its_waybill_and_order() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR, told=HOUR + DAY + 1)
    late = [value for topic, key, value in it.sent if topic == rules.ALERTS and key in ("LOG-04/zto", "LOG-10/zto")]
    assert [(said["rule"], said["order_guid"]) for said in late] == [("LOG-04", "G1"), ("LOG-10", "G1")]
    assert all("W1" in said["detail"] for said in late)


@pytest.mark.rule("LOG-04")
def test_a_signature_told_twice_is_late_once() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR, told=2 * HOUR)
    it.courier("signed", HOUR + 1, told=3 * HOUR)
    assert it.alerts("LOG-04") == [("count", 2 * HOUR)]


@pytest.mark.rule("LOG-09")
@pytest.mark.parametrize(("after", "asked"), [(MINUTE - 1, 1), (MINUTE, 2)])
def test_customer_service_looks_up_a_waybill_once_a_minute(after: int, asked: int) -> None:
    it = Watched().courier("picked_up", 0)
    for at in (SECOND, SECOND + after):
        it.say("ops", "manual_command", at, command="refresh_waybill")
    assert len(it.requests("refresh")) == asked
    it.say("ops", "manual_command", HOUR, waybill_no="W2", command="refresh_waybill")
    it.say("ops", "manual_command", HOUR, command="something_else")
    assert len(it.requests("refresh")) == asked


@pytest.mark.rule("LOG-02")
@pytest.mark.parametrize(
    ("loaded", "unpicked"),
    [({}, {"W1", "W2"}), ({"package_id": "P2"}, {"W2"}), ({"package_id": "P3"}, set[str]())],
)
@pytest.mark.parametrize("label_first", [True, False])
def test_goods_leave_with_their_package_or_order_though_the_number_of_the_waybill_is_not_named(
    loaded: dict[str, str], unpicked: set[str], label_first: bool
) -> None:
    it = Watched()
    if not label_first:
        it.say("wms", "loaded", HOUR, None, **loaded)
    for number in ("1", "2"):
        told = HOUR + MINUTE if not label_first else 0
        it.say("wms", "label_printed", 0, f"W{number}", package_id=f"P{number}", told=told)
        it.courier("waybill_accepted", 1, waybill_no=f"W{number}", told=told + 1)
    if label_first:
        it.say("wms", "loaded", HOUR, None, **loaded)
    it.wait(HOUR + DAY)
    assert not it.alerts("LOG-02")
    it.wait(HOUR + DAY + 1)
    told_of = {key.rpartition("/")[2] for to, key, _ in it.sent if to == rules.ALERTS and key.startswith("LOG-02")}
    assert told_of == unpicked


@pytest.mark.rule("LOG-02")
@pytest.mark.parametrize("told", [DAY, DAY + HOUR])
def test_what_left_before_a_waybill_was_made_did_not_leave_under_it(told: int) -> None:
    it = Watched().say("wms", "label_printed", 0).courier("signed", 2 * HOUR)
    it.say("wms", "loaded", HOUR, None, told=told)
    it.say("wms", "label_printed", DAY, "W2", told=told).courier(
        "waybill_accepted", DAY + 1, waybill_no="W2", told=told
    )
    assert not it.wait(5 * DAY).alerts("LOG-02")


@pytest.mark.rule("LOG-01", "LOG-02")
@pytest.mark.parametrize(("named", "ended"), [({}, set[str]()), ({"package_id": "P2"}, {"W2"})])
def test_a_courier_who_names_the_package_or_the_order_speaks_of_the_only_waybill_it_can_be(
    named: dict[str, str], ended: set[str]
) -> None:
    one = Watched().say("wms", "loaded", 0, package_id="P2").courier("signed", HOUR, waybill_no=None, **named)
    assert one.rows is not None
    assert "ended" in one.rows["W1"]
    assert not one.wait(3 * DAY).alerts("LOG-02")
    two = Watched().say("wms", "loaded", 0, package_id="P1").say("wms", "loaded", 0, "W2", package_id="P2")
    two.courier("signed", HOUR, waybill_no=None, **named)
    assert {name for name, row in (two.rows or {}).items() if "ended" in row} == ended


@pytest.mark.rule("LOG-11")
def test_the_second_complaint_about_a_signed_waybill_opens_an_investigation() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR).say("orders", "complaint", 2 * HOUR, None)
    assert not it.alerts("LOG-11")
    it.say("orders", "complaint", 3 * HOUR, None)
    assert it.alerts("LOG-11") == [("open", 3 * HOUR)]


@pytest.mark.rule("LOG-11")
def test_each_further_complaint_is_told_though_a_person_may_have_ended_the_investigation() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR)
    for hours in (2, 3, 4, 5):
        it.say("orders", "complaint", hours * HOUR, None, event_id=f"c{hours}")
    it.say("orders", "complaint", 5 * HOUR, None, event_id="c5")
    assert it.alerts("LOG-11") == [("open", 3 * HOUR), ("open", 4 * HOUR), ("open", 5 * HOUR)]
    assert "4 complaints" in [value["detail"] for to, _, value in it.sent if to == rules.ALERTS][-1]


@pytest.mark.rule("LOG-11")
def test_an_investigation_begins_with_the_second_complaint_though_the_signature_is_told_after_it() -> None:
    it = Watched().courier("picked_up", 0)
    for hours in (2, 5):
        it.say("orders", "complaint", hours * HOUR, None)
    it.courier("signed", HOUR, told=6 * HOUR)
    assert it.alerts("LOG-11") == [("open", 5 * HOUR)]


@pytest.mark.rule("LOG-11")
def test_complaints_before_the_signature_wait_for_it_and_one_told_twice_is_one() -> None:
    it = Watched().courier("picked_up", 0)
    for _ in range(2):
        it.say("orders", "complaint", HOUR, None, event_id="same")
    it.courier("signed", 2 * HOUR)
    assert not it.alerts("LOG-11")
    it.say("orders", "complaint", 3 * HOUR, "W1")
    assert it.alerts("LOG-11") == [("open", 3 * HOUR)]


def test_a_waybill_is_forgotten_thirty_days_after_the_last_that_was_told() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR)
    it.wait(HOUR + 30 * DAY - 1)
    assert it.rows is not None
    assert it.wait(HOUR + 30 * DAY).rows is None
    assert it.now == T0 + HOUR + 30 * DAY


@pytest.mark.rule("LOG-11")
@pytest.mark.parametrize(
    ("first", "second", "opened"), [(None, None, 1), (None, "W1", 1), ("W1", "W2", 0), ("W2", "W2", 0)]
)
def test_complaints_that_come_before_any_waybill_is_known_count_once_it_is(
    first: str | None, second: str | None, opened: int
) -> None:
    it = Watched().say("orders", "complaint", HOUR, first).say("orders", "complaint", 2 * HOUR, second)
    it.courier("picked_up", 0, told=3 * HOUR)
    assert not it.alerts("LOG-11")
    it.courier("signed", HOUR, told=3 * HOUR)
    assert len(it.alerts("LOG-11")) == opened


@pytest.mark.rule("LOG-03", "LOG-05")
def test_a_signature_that_is_a_refusal_by_its_word_ends_nothing() -> None:
    refused = {**MAPPED, "node": "transit_stalled", "flags": ["frozen"]}
    it = Watched().courier("picked_up", 0).courier("signed", HOUR, raw_status="拒收", mapped=refused)
    it.wait(HOUR + 8 * HOUR + 1)
    assert it.alerts("LOG-03")[-1] == ("open", 9 * HOUR + 1)
    assert it.requests("probe")


AT_POINT = {**MAPPED, "node": "out_for_delivery", "axis": "delivery:at_pickup_point"}
NOTHING = {**MAPPED, "state": None, "node": None}


@pytest.mark.rule("LOG-03")
def test_a_parcel_that_waits_for_its_customer_at_a_pickup_point_does_not_stand_still() -> None:
    it = Watched().courier("picked_up", 0).courier("scanned", HOUR, mapped=AT_POINT).wait(2 * DAY)
    assert it.alerts("LOG-03") == []
    assert it.requests("probe")[-1] == 2 * DAY, "that it was fetched may only come to light by a probe"
    not_fetched = {**NOTHING, "axis": "delivery:not_collected"}
    it.courier("scanned", 2 * DAY, mapped=not_fetched).wait(3 * DAY)
    assert it.alerts("LOG-03") == []
    left = {**MAPPED, "node": "out_for_delivery", "axis": "delivery:left_pickup_point"}
    it.courier("scanned", 3 * DAY, mapped=left).wait(4 * DAY)
    assert it.alerts("LOG-03/G1") == [("open", 3 * DAY + 8 * HOUR + 1)]
    it.courier("scanned", 4 * DAY, mapped=AT_POINT)
    assert it.alerts("LOG-03/G1")[-1] == ("close", 4 * DAY)


@pytest.mark.rule("LOG-01", "LOG-02", "LOG-03", "LOG-06")
@pytest.mark.parametrize("kind", ["scanned", "signed", "exception", "probe_result"])
@pytest.mark.parametrize("axis", ["return:signed", "return:done", "return:new_waybill"])
def test_of_a_parcel_that_is_back_with_its_sender_nothing_more_is_expected(kind: str, axis: str) -> None:
    it = Watched().courier("picked_up", 0)
    it.courier("exception", HOUR, mapped={**NOTHING, "axis": "delivery:refused"}).wait(9 * HOUR)
    assert it.alerts("LOG-03/G1") == [("open", 8 * HOUR + 1)]
    it.courier("scanned", 10 * HOUR, mapped={**NOTHING, "axis": "return:in_transit"}).wait(12 * HOUR)
    it.courier(kind, 12 * HOUR, mapped={**NOTHING, "axis": axis})
    probes = len(it.requests("probe"))
    it.wait(20 * DAY)
    assert it.alerts("LOG-03/G1") == [("open", 8 * HOUR + 1), ("close", 10 * HOUR)]
    assert len(it.requests("probe")) == probes
    it.courier("picked_up", 21 * DAY).wait(22 * DAY)  # it was sent once more
    assert it.alerts("LOG-03/G1")[-1] == ("open", 21 * DAY + 8 * HOUR + 1)


@pytest.mark.rule("LOG-02", "LOG-03")
def test_a_word_that_the_courier_does_not_have_the_parcel_yet_is_no_movement() -> None:
    """An aggregator tells every word as a scan; the word says what it is (ST-03)."""
    waiting = {**MAPPED, "node": "awaiting_pickup"}
    it = Watched().say("wms", "loaded", 0).courier("scanned", HOUR, mapped=waiting)
    it.courier("scanned", 2 * HOUR, mapped={**NOTHING, "axis": "waybill:created"})
    it.courier("scanned", 3 * HOUR, mapped={**NOTHING, "axis": "pickup:failed"}).wait(DAY + 1)
    assert it.alerts("LOG-02") == [("open", DAY + 1)]
    assert it.alerts("LOG-03") == []
    assert not [key for topic, key, _ in it.sent if topic == rules.arrival.FACTS]


@pytest.mark.rule("LOG-03")
@pytest.mark.parametrize(
    ("kind", "mapped"),
    [
        ("scanned", {**NOTHING, "axis": "delivery:no_news"}),
        ("scanned", {**NOTHING, "axis": "route:none"}),
        ("exception", {**MAPPED, "node": "transit_stalled"}),
        ("probe_result", {**MAPPED, "node": "transit_stalled"}),
    ],
)
def test_the_word_that_a_parcel_stands_still_does_not_end_its_stall(kind: str, mapped: dict[str, object]) -> None:
    it = Watched().courier("picked_up", 0).wait(9 * HOUR).courier(kind, 9 * HOUR, mapped=mapped).wait(DAY)
    assert it.alerts("LOG-03/G1") == [("open", 8 * HOUR + 1)]


@pytest.mark.rule("LOG-03")
def test_a_parcel_of_which_only_a_stall_was_told_stands_still_since_then() -> None:
    it = Watched().courier("exception", 0, mapped={**MAPPED, "node": "transit_stalled"}).wait(9 * HOUR)
    assert it.alerts("LOG-03/G1") == [("open", 8 * HOUR + 1)]


@pytest.mark.rule("LOG-01", "LOG-06")
def test_a_waybill_that_its_courier_cancelled_is_neither_pushed_nor_probed() -> None:
    void = {**NOTHING, "axis": "waybill:cancelled"}
    it = Watched().say("wms", "label_printed", 0).courier("scanned", 5 * MINUTE, mapped=void).wait(20 * DAY)
    assert not it.requests("push") + it.requests("probe")
    it.say("wms", "loaded", 20 * DAY).wait(22 * DAY)  # it left all the same
    assert [do for do, _ in it.alerts("LOG-02")] == ["open"]


@pytest.mark.rule("LOG-01")
@pytest.mark.parametrize("is_known", [True, False])
def test_an_order_that_its_shop_calls_closed_has_nothing_pushed(is_known: bool) -> None:
    closed = {**NOTHING, "flags": ["closed"], "axis": "trade:closed_by_refund"}
    it = Watched()
    if is_known:
        it.say("wms", "label_printed", 0).wait(15 * MINUTE)
    it.say("orders", "status_changed", 15 * MINUTE, None, mapped=closed)
    it.say("wms", "label_printed", 0, told=16 * MINUTE).wait(DAY)
    assert it.requests("push") == [10 * MINUTE + 1] * is_known
    assert it.alerts("LOG-01") == [("open", 10 * MINUTE + 1), ("close", 15 * MINUTE)][: 2 * is_known]


@pytest.mark.rule("LOG-03", "LOG-05")
def test_a_parcel_that_most_likely_was_signed_for_does_not_stand_still_and_is_probed() -> None:
    unknown = {**NOTHING, "known": False}
    it = Watched().courier("picked_up", 0)
    it.courier("scanned", HOUR, mapped=unknown, raw_status="放门口代签").wait(DAY)
    assert it.alerts("LOG-03") == []
    assert it.requests("probe")
    it.courier("scanned", DAY, mapped=unknown, raw_status="客户要求改签").wait(2 * DAY)
    assert it.alerts("LOG-03/G1") == [("open", DAY + 8 * HOUR + 1)]


@pytest.mark.rule("LOG-01", "LOG-02", "LOG-03", "OTH-12")
@pytest.mark.parametrize(("topic", "kind"), [("wms", "label_printed"), ("wms", "loaded"), ("couriers", "picked_up")])
def test_a_waybill_that_is_forgotten_leaves_no_alert_open(topic: str, kind: str) -> None:
    it = Watched().say(topic, kind, 0, courier="zto").wait(31 * DAY)
    assert it.rows is None
    last = {key: (value["do"], value.get("by")) for to, key, value in it.sent if to == rules.ALERTS}
    assert {last.pop(key) for key in [*last] if not key.startswith("LOG-03/slow/")} == {("close", "forgotten")}
    assert {*last.values()} <= {("close", None)}  # the red one had taken its place


@pytest.mark.rule("LOG-11")
def test_an_investigation_outlives_its_waybill_until_a_person_ends_it() -> None:
    it = Watched().courier("picked_up", 0).courier("signed", HOUR)
    it.say("orders", "complaint", 2 * HOUR, None).say("orders", "complaint", 3 * HOUR, None).wait(40 * DAY)
    assert (it.rows, it.alerts("LOG-11")) == (None, [("open", 3 * HOUR)])


def alert(it: Watched, wanted: str) -> list[tuple[str, int]]:
    """What was said of one alert, and when, ms after T0."""
    return [(value["do"], value["at"] - T0) for to, key, value in it.sent if to == rules.ALERTS and key == wanted]


@pytest.mark.rule("LOG-01", "LOG-02", "LOG-06")
def test_a_package_that_is_sent_under_a_new_number_is_no_longer_watched_under_the_old_one() -> None:
    it = Watched().say("wms", "loaded", 0, package_id="P1").wait(DAY + HOUR)
    assert [do for do, _ in alert(it, "LOG-02/G1/W1")] == ["open"]
    it.say("wms", "label_printed", 2 * DAY, "W2", package_id="P1")
    assert alert(it, "LOG-01/G1/W1")[-1] == ("close", 2 * DAY)
    assert alert(it, "LOG-02/G1/W1")[-1] == ("close", 2 * DAY)
    sent = len([key for _, key, _ in it.sent if key.endswith("/W1")])
    it.wait(4 * DAY)
    assert len([key for _, key, _ in it.sent if key.endswith("/W1")]) == sent
    assert alert(it, "LOG-01/G1/W2")[-1][0] == "open"
    it.courier("picked_up", 5 * DAY).wait(6 * DAY)  # the old number is on its way all the same
    assert alert(it, "LOG-03/G1/W1")[-1][0] == "open"


@pytest.mark.rule("LOG-01", "LOG-02")
@pytest.mark.parametrize("package", [None, "P2"])
def test_a_second_parcel_of_the_order_replaces_nothing(package: str | None) -> None:
    it = Watched().say("wms", "loaded", 0, package_id="P1").say("wms", "loaded", HOUR, "W2", package_id=package)
    it.wait(2 * DAY)
    assert {key for to, key, value in it.sent if to == rules.ALERTS and value["rule"] == "LOG-02"} == {
        "LOG-02/G1/W1",
        "LOG-02/G1/W2",
    }


@pytest.mark.rule("LOG-01")
def test_which_number_replaces_which_does_not_depend_on_what_is_told_first() -> None:
    labels = [{**LABEL, "waybill_no": f"W{n}", "event_time": T0 + n, "package_id": "P1"} for n in range(3)]
    found = []
    for order in permutations(labels):
        rows = None
        for label in order:
            rows = rules.step(rows, label, T0, data.logistics()).rows
        found.append({number: row.get("replaced") for number, row in (rows or {}).items()})
    assert all(one == {"W0": T0 + 1, "W1": T0 + 2, "W2": None} for one in found)


def rejected(it: Watched, number: str, at: int) -> Watched:
    """Identity's word that the waybill is another order's (ID-04)."""
    return it.say("wms", "_code_rejected", at, None, code_kind="waybill_no", code=number, bound_to="G2")


@pytest.mark.rule("ID-04", "LOG-01", "LOG-02", "LOG-06")
def test_a_waybill_that_is_bound_to_another_order_is_neither_asked_for_nor_told_of_here() -> None:
    it = rejected(Watched().say("wms", "loaded", 0), "W1", 1).say("wms", "package_scanned", HOUR).wait(3 * DAY)
    assert it.requests("push") == it.requests("probe") == []
    assert it.alerts("LOG-01") == it.alerts("LOG-02") == []


@pytest.mark.rule("ID-04", "LOG-01")
def test_what_was_told_of_a_waybill_is_over_once_it_turns_out_to_be_another_orders() -> None:
    it = rejected(Watched().say("wms", "loaded", 0).wait(15 * MINUTE), "W1", 16 * MINUTE).wait(DAY)
    assert it.alerts("LOG-01") == [("open", 10 * MINUTE + 1), ("close", 16 * MINUTE)]
    assert len(it.requests("push")) == 1


@pytest.mark.rule("ID-04", "LOG-02")
def test_the_orders_own_waybill_is_watched_on_though_its_package_was_named_with_anothers() -> None:
    it = Watched().say("wms", "loaded", 0, "W1", package_id="P1").say("wms", "loaded", 1, "W2", package_id="P1")
    rejected(it, "W2", 2).wait(DAY + 2)
    assert it.alerts("LOG-02") == [("open", DAY + 1)]
    assert not rules.concerns({"event_type": "_code_rejected", "code_kind": "platform_txn_no", "code": "T1"})
