"""Asking the customer about a delivery: when, how often, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.logistics import Settings, confirm
from streams.domain.rules import data
from tests.support.effort import tries
from tests.unit.domain.logistics.watched import DAY, HOUR, MINUTE, T0

SETTINGS = data.logistics()
SHOP_DONE = {"known": True, "state": "customer_signed", "node": None, "flags": [], "event": None, "axis": None}


class Asked:
    """One order; times are ms after T0."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        self.settings = settings
        self.row: Any = None
        self.sent: list[Any] = []

    def say(self, topic: str, kind: str, at: int, **fields: Any) -> Asked:
        fact = {
            "topic": topic,
            "event_type": kind,
            "event_time": T0 + at,
            "source": topic,
            "order_guid": "G1",
            **fields,
        }
        assert confirm.concerns(fact, self.settings)
        self.row, sends = confirm.observe(self.row, fact, self.settings)
        self.sent += sends
        return self

    def signed(self, at: int = 0) -> Asked:
        return self.say("couriers", "signed", at, waybill_no="W1", courier="zto")

    def wait(self, until: int, now: int = 0) -> Asked:
        """`now`: how far time has come already, ms after T0."""
        while (due := confirm.next_due(self.row, self.settings)) is not None and due <= T0 + until:
            self.row, sends = confirm.fire("G1", self.row, due, max(due, T0 + now), self.settings)
            self.sent += sends
        return self

    def sleep(self, until: int) -> Asked:
        self.row, sends = confirm.fire("G1", self.row, T0 + until, T0 + until, self.settings)
        self.sent += sends
        return self

    @property
    def requests(self) -> list[tuple[str, int, int]]:
        return [(v["kind"], v["attempt"], v["at"] - T0) for topic, _, v in self.sent if topic == confirm.REQUESTS]


LINK = ("confirm_link", 1, 0)
CALLS = [("voice_call", 1, DAY + 1), ("voice_call", 2, 3 * DAY + 1)]


@pytest.mark.rule("LOG-14")
def test_the_link_goes_out_at_the_signature_and_holds_for_seven_days() -> None:
    it = Asked().signed().wait(0)
    [(_, key, request)] = it.sent
    assert (key, request["kind"], request["waybill_no"]) == ("G1", "confirm_link", "W1")
    assert request["expires_at"] - request["at"] == 7 * DAY
    assert it.signed(HOUR).wait(2 * HOUR).requests == [LINK]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize("word", ["confirmation_scanned", "voice_call_result"])
@pytest.mark.parametrize(("later", "said"), [(HOUR, ["open", "close"]), (-HOUR, ["open"])])
def test_a_dispute_ends_when_the_customer_confirms_after_it(word: str, later: int, said: list[str]) -> None:
    at = 30 * HOUR
    answer = {"result": "reship"}, {"result": "confirmed"}
    it = Asked().signed().say("service", "voice_call_result", at, **answer[0])
    it.say("service", word, at + later, **answer[1])
    assert [value["do"] for _, key, value in it.sent if key == "LOG-15/disputed/G1"] == said
    it = Asked().signed().say("service", word, at + later, **answer[1])
    it.say("service", "voice_call_result", at, **answer[0])
    assert [value["do"] for _, key, value in it.sent if key == "LOG-15/disputed/G1"] == ([] if later > 0 else said)


@pytest.mark.rule("LOG-15")
def test_without_a_word_for_more_than_24_hours_the_customer_is_called_and_again_after_72() -> None:
    it = Asked().signed().wait(DAY)
    assert it.requests == [LINK]
    it.wait(3 * DAY)
    assert it.requests == [LINK, ("voice_call", 1, DAY + 1)]
    it.wait(20 * DAY)
    assert it.requests == [LINK, ("voice_call", 1, DAY + 1), ("voice_call", 2, 3 * DAY + 1)]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("told", "calls"), [(3 * DAY, [1, 2]), (3 * DAY + 1, [2]), (5 * DAY, [2])])
def test_a_signature_told_days_late_has_its_customer_called_once(told: int, calls: list[int]) -> None:
    """As the file of a courier without an interface does: its timers are all in the past by then."""
    it = Asked().signed().wait(6 * DAY, told)
    assert it.requests[0] == LINK
    assert [attempt for kind, attempt, _ in it.requests if kind == "voice_call"] == calls


@pytest.mark.rule("LOG-14", "LOG-15")
@pytest.mark.parametrize(
    ("topic", "kind", "fields"),
    [
        ("service", "confirmation_scanned", {}),
        ("orders", "buyer_confirmed", {}),
        ("orders", "cancel_marked", {}),
        ("orders", "status_changed", {"mapped": SHOP_DONE}),
        ("service", "voice_call_result", {"result": "confirmed"}),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_whoever_confirmed_is_not_asked_any_more(topic: str, kind: str, fields: Any, before: bool) -> None:
    if before:
        assert not Asked().say(topic, kind, -MINUTE, **fields).signed().wait(20 * DAY).requests
    else:
        assert Asked().signed().wait(0).say(topic, kind, DAY, **fields).wait(20 * DAY).requests == [LINK]


@pytest.mark.rule("LOG-15")
def test_a_damaged_parcel_opens_a_case_once_and_ends_the_calls() -> None:
    it = Asked().signed().wait(2 * DAY)
    for _ in range(2):
        it.say("service", "voice_call_result", 2 * DAY, result="damaged")
    alerts = [(key, value["rule"]) for topic, key, value in it.sent if topic == "alert-facts"]
    assert alerts == [("LOG-15/damaged/G1", "LOG-15")]
    assert [kind for kind, *_ in it.wait(20 * DAY).requests] == ["confirm_link", "voice_call"]


@pytest.mark.rule("LOG-14", "LOG-15")
def test_who_opens_the_link_and_says_damaged_does_not_confirm() -> None:
    it = Asked().signed().wait(0).say("service", "confirmation_scanned", HOUR, result="damaged").wait(20 * DAY)
    assert [key for topic, key, _ in it.sent if topic == "alert-facts"] == ["LOG-15/damaged/G1"]
    assert it.requests == [LINK]
    assert timeouts(it) == []


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("result", "told"), [("reship", 1), ("no_answer", 0), ("confirmed", 0), ("damaged", 0)])
def test_an_answer_that_is_no_confirmation_is_told_to_after_sales_once(result: str, told: int) -> None:
    it = Asked().signed().wait(2 * DAY)
    for _ in range(2):
        it.say("service", "voice_call_result", 2 * DAY, result=result)
    found = [value for _, key, value in it.sent if key == "LOG-15/disputed/G1"]
    assert len(found) == told
    assert all("'reship'" in value["detail"] for value in found)


@pytest.mark.rule("LOG-15", "RSK-07")
@pytest.mark.parametrize("result", ["confirmed", "damaged", "wrong size"])
def test_the_call_before_the_shipment_says_nothing_of_the_delivery(result: str) -> None:
    it = Asked().say("service", "voice_call_result", -DAY, result=result, ticket_code="RSK-07/G1")
    assert (it.row, it.sent) == (None, [])
    assert len(it.signed().wait(20 * DAY).requests) == 3
    assert timeouts(it) == [OVER]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize("result", ["reship", "wrong colour"])
def test_a_customer_who_has_answered_is_not_called_again(result: str) -> None:
    it = Asked().signed().wait(2 * DAY).say("service", "voice_call_result", 2 * DAY, result=result).wait(20 * DAY)
    assert [kind for kind, *_ in it.requests] == ["confirm_link", "voice_call"]
    assert timeouts(it) == []


@pytest.mark.rule("LOG-15")
def test_nobody_answered_is_no_answer() -> None:
    it = Asked().signed().wait(2 * DAY).say("service", "voice_call_result", 2 * DAY, result="no_answer").wait(20 * DAY)
    assert len(it.requests) == 3


@pytest.mark.rule("LOG-14", "LOG-15")
@pytest.mark.parametrize(("told", "asked"), [(7 * DAY, 1), (7 * DAY + 1, 0)])
def test_calls_missed_while_nobody_worked_are_one_and_history_is_nobodys_business(told: int, asked: int) -> None:
    assert [kind for kind, *_ in Asked().signed().sleep(told).wait(25 * DAY).requests] == ["voice_call"] * asked


def test_the_row_is_forgotten_thirty_days_after_the_last_word() -> None:
    it = Asked().signed().wait(30 * DAY - 1)
    assert it.row is not None
    assert it.wait(30 * DAY).row is None


# -- the timeout ------------------------------------------------------------------------------------------------------

OVER = 7 * DAY + 1
REFUNDING: dict[str, Any] = SHOP_DONE | {"state": None, "axis": "refund:requested"}


def timeouts(it: Asked) -> list[int]:
    """When the order was told that nobody said a word, ms after T0."""
    return [value["event_time"] - T0 for topic, _, value in it.sent if topic == "order-facts"]


@pytest.mark.rule("LOG-15")
def test_after_more_than_seven_days_of_silence_the_order_is_told_once() -> None:
    it = Asked().signed().wait(7 * DAY)
    assert timeouts(it) == []
    it.wait(OVER)
    [(topic, key, fact)] = [sent for sent in it.sent if sent[0] == "order-facts"]
    assert (topic, key) == ("order-facts", "G1")
    assert fact == {
        "event_type": "_confirm_timeout",
        "event_id": "confirm_timeout/G1",
        "event_time": T0 + OVER,
        "source": "logistics",
        "topic": "logistics",
        "order_guid": "G1",
    }
    assert timeouts(it.signed().signed(HOUR).wait(60 * DAY)) == [OVER]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(
    ("topic", "kind", "fields"),
    [
        ("orders", "refund_requested", {}),
        ("payments", "refund_settled", {}),
        ("orders", "status_changed", {"mapped": REFUNDING}),
        ("orders", "complaint", {}),
        ("service", "voice_call_result", {"result": "damaged"}),
        ("service", "voice_call_result", {"result": "not received"}),
        ("service", "ticket_opened", {"ticket_code": "T1"}),
        ("service", "confirmation_scanned", {}),
        ("orders", "cancel_marked", {}),
    ],
)
@pytest.mark.parametrize(("said", "counts"), [(7 * DAY, True), (OVER, False)])
def test_a_word_of_the_customer_or_a_dispute_until_then_ends_it(
    topic: str, kind: str, fields: Any, said: int, counts: bool
) -> None:
    it = Asked().signed().wait(said).say(topic, kind, said, **fields).wait(20 * DAY)
    assert timeouts(it) == ([] if counts else [OVER])


@pytest.mark.rule("LOG-15", "ST-03")
@pytest.mark.parametrize(
    ("source", "field", "code", "is_disputed"),
    [
        ("aliexpress", None, "IN_ISSUE", True),
        ("aliexpress", None, "IN_FROZEN", True),
        ("shopee", None, "TO_RETURN", True),
        ("amazon", "returnStatus", "CREATED", True),
        ("amazon", "returnStatus", "CANCELLED", False),
        ("tmall", "good_status", "BUYER_NOT_RECEIVED", True),
        ("tmall", "good_status", "BUYER_RECEIVED", False),
        ("pdd", "after_sales_status", "4", True),
        ("pdd", "after_sales_status", "0", False),
    ],
)
def test_a_dispute_or_return_that_the_shop_tells_of_holds_the_timeout(
    source: str, field: str | None, code: str, is_disputed: bool
) -> None:
    word = data.status_maps().find("orders", (source,), field, code)
    assert word["known"]
    it = Asked().signed().wait(0)
    if confirm.concerns({"topic": "orders", "event_type": "status_changed", "mapped": word}, SETTINGS):
        it.say("orders", "status_changed", DAY, mapped=word)
    assert timeouts(it.wait(20 * DAY)) == ([] if is_disputed else [OVER])


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("at", "calls"), [(2 * DAY, 1), (-HOUR, 2)])
def test_nobody_is_called_about_a_parcel_that_went_back(at: int, calls: int) -> None:
    word = data.status_maps().find("couriers", ("kuaidi100",), None, "4")
    it = Asked().signed().wait(DAY + 1).say("couriers", "exception", at, mapped=word).wait(20 * DAY)
    assert [kind for kind, *_ in it.requests] == ["confirm_link", *["voice_call"] * calls]


WITHDRAWN: dict[str, Any] = SHOP_DONE | {"state": None, "axis": "refund:withdrawn"}


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(
    ("asked", "withdrawn", "over"),
    [
        ([DAY], [2 * DAY], OVER),
        ([DAY], [9 * DAY], 9 * DAY + 1),
        ([DAY, 3 * DAY], [2 * DAY], None),
        ([DAY, 3 * DAY], [2 * DAY, 4 * DAY], OVER),
        ([DAY], [], None),
        ([], [DAY], OVER),
    ],
)
@pytest.mark.parametrize("kind", ["refund_requested", "status_changed"])
def test_a_refund_that_its_buyer_withdraws_is_no_dispute_any_more(
    asked: list[int], withdrawn: list[int], over: int | None, kind: str
) -> None:
    said = {"mapped": REFUNDING} if kind == "status_changed" else {}
    words = [*((at, kind, said) for at in asked), *((at, "status_changed", {"mapped": WITHDRAWN}) for at in withdrawn)]
    for order in (sorted(words, key=lambda word: word[0]), sorted(words, key=lambda word: -word[0])):
        it = Asked().signed()
        for at, name, fields in order:
            it.say("orders", name, at, **fields)
        assert timeouts(it.wait(20 * DAY)) == ([] if over is None else [over])


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize("result", ["no_answer", "busy"])
def test_a_call_that_reached_nobody_is_no_dispute(result: str) -> None:
    it = Asked().signed().say("service", "voice_call_result", 2 * DAY, result=result)
    assert timeouts(it.wait(20 * DAY)) == [OVER]


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("at", "counts"), [(-1, False), (0, True)])
def test_a_complaint_before_the_signature_is_answered_by_it(at: int, counts: bool) -> None:
    it = Asked().say("orders", "complaint", at).signed().wait(20 * DAY)
    assert timeouts(it) == ([] if counts else [OVER])


@pytest.mark.rule("LOG-14", "LOG-15")
@pytest.mark.parametrize(("at", "counts"), [(-1, False), (0, True)])
@pytest.mark.parametrize("is_first", [True, False])
def test_an_answer_before_the_signature_is_about_another_matter(at: int, counts: bool, is_first: bool) -> None:
    it = Asked()
    if not is_first:
        it.signed()
    it.say("service", "voice_call_result", at, result="another address")
    if is_first:
        it.signed()
    it.wait(20 * DAY)
    assert (it.requests, timeouts(it)) == (([], []) if counts else ([LINK, *CALLS], [OVER]))


@pytest.mark.rule("LOG-15")
def test_a_customer_who_objects_after_all_is_told_to_after_sales_again() -> None:
    it = Asked().signed()
    for day, result in enumerate(("reship", "confirmed", "one is missing"), 2):
        it.say("service", "voice_call_result", day * DAY, result=result)
    assert [said["do"] for _, key, said in it.sent if key == "LOG-15/disputed/G1"] == ["open", "close", "open"]


@pytest.mark.rule("LOG-15", "INV-14")
@pytest.mark.parametrize(
    ("source", "field", "code", "at", "counts"),
    [
        ("cainiao", "subLogisticsStatus", "RETURN_SIGN", DAY, True),
        ("cainiao", "subLogisticsStatus", "RETURN", DAY, True),
        ("kuaidi100", None, "4", DAY, True),
        ("kuaidi100", None, "4", -1, False),  # sent again, and signed
        ("sf", None, "648", DAY, False),  # forwarded, or sent back: nobody knows
    ],
)
def test_a_parcel_that_goes_back_after_its_signature_holds_the_timeout(
    source: str, field: str | None, code: str, at: int, counts: bool
) -> None:
    word = data.status_maps().find("couriers", (source,), field, code)
    assert word["known"]
    said = {"topic": "couriers", "event_type": "exception", "mapped": word}
    it = Asked().signed().wait(0)
    if confirm.concerns(said, SETTINGS):
        it.say("couriers", "exception", at, mapped=word)
    assert timeouts(it.wait(20 * DAY)) == ([] if counts else [OVER])


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize(("closed", "due"), [(2 * DAY, OVER), (9 * DAY, 9 * DAY + 1), (None, None)])
@pytest.mark.parametrize("is_swapped", [False, True])
def test_an_open_ticket_holds_the_timeout_until_it_closes(
    closed: int | None, due: int | None, is_swapped: bool
) -> None:
    told = [("ticket_opened", DAY)] + ([] if closed is None else [("ticket_closed", closed)])
    it = Asked().signed()
    for kind, at in reversed(told) if is_swapped else told:
        it.say("service", kind, at, ticket_code="T1")
    assert timeouts(it.wait(20 * DAY)) == ([] if due is None else [due])


@pytest.mark.rule("LOG-15")
def test_a_refusal_that_comes_as_a_signature_is_none() -> None:
    refused = {"known": True, "state": "shipped", "node": None, "flags": [], "event": None, "axis": None}
    it = Asked().say("couriers", "signed", 0, mapped=refused, waybill_no="W1")
    assert (it.row, it.sent) == (None, [])


@pytest.mark.rule("LOG-15")
@pytest.mark.parametrize("kind", ["complaint", "refund_requested", "buyer_confirmed"])
def test_what_is_said_after_the_time_is_over_does_not_take_it_back_though_read_in_the_same_turn(kind: str) -> None:
    it = Asked().signed().wait(0).say("orders", kind, OVER)
    assert timeouts(it.wait(60 * DAY)) == [OVER]


@pytest.mark.rule("LOG-15")
def test_a_signature_told_when_the_time_is_over_times_out_and_nobody_is_asked() -> None:
    it = Asked().signed()
    it.row, sends = confirm.fire("G1", it.row, T0, T0 + 20 * DAY, it.settings)  # as the agent does, at its own time
    assert sends == []
    assert timeouts(it.sleep(20 * DAY)) == [OVER]
    assert it.requests == []


@pytest.mark.rule("LOG-15")
def test_a_row_that_is_forgotten_at_once_has_timed_out() -> None:
    it = Asked().signed()
    assert timeouts(it.sleep(60 * DAY)) == [OVER]
    assert it.row is None


words = st.tuples(
    st.sampled_from(["complaint", "refund_requested", "buyer_confirmed", "ticket_opened", "ticket_closed"]),
    st.sampled_from([-1, 0, DAY, 7 * DAY, OVER, 8 * DAY]),
)


@pytest.mark.rule("LOG-15")
@settings(max_examples=tries(200), deadline=None)
@given(st.lists(words, max_size=5), st.data())
def test_when_it_times_out_does_not_depend_on_what_is_read_first(said: list[tuple[str, int]], choice: Any) -> None:
    """Oracle: no word in time; a ticket, by its last opening and closing, holds it up to its end."""
    until = 7 * DAY
    opened = max((at for kind, at in said if kind == "ticket_opened"), default=None)
    closed = max((at for kind, at in said if kind == "ticket_closed"), default=None)
    is_open = False
    if opened is not None and opened <= 7 * DAY:
        is_open = closed is None or closed < opened
        until = max(until, closed or 0)
    first = {"complaint": 0, "refund_requested": -1, "buyer_confirmed": -1}
    spoken = any(first[kind] <= at <= until for kind, at in said if kind in first)
    bag = [("signed", 0), *said]
    it = Asked()
    for kind, at in choice.draw(st.permutations(bag + choice.draw(st.lists(st.sampled_from(bag), max_size=3)))):
        topic = "couriers" if kind == "signed" else "service" if kind.startswith("ticket") else "orders"
        it.say(topic, kind, at, ticket_code="T1", waybill_no="W1")
    assert timeouts(it.wait(60 * DAY)) == ([] if is_open or spoken else [until + 1])


@pytest.mark.rule("LOG-13")
@pytest.mark.parametrize(("channel", "asked"), [("jd", 0), ("douyin", 3)])
def test_customers_of_a_channel_whose_orders_complete_by_themselves_are_not_asked(channel: str, asked: int) -> None:
    it = Asked(replace(SETTINGS, auto_complete=frozenset({"jd"})))
    created = {"topic": "orders", "event_type": "order_created", "channel": channel, "event_time": T0 - DAY}
    if confirm.concerns(created, it.settings):
        it.say("orders", "order_created", -DAY, channel=channel)
    it.signed().wait(20 * DAY)
    assert len(it.requests) == asked
    assert timeouts(it) == ([OVER] if asked else [])


def test_orders_of_other_channels_cost_no_row() -> None:
    assert not confirm.concerns({"topic": "orders", "event_type": "order_created", "channel": "jd"}, SETTINGS)
