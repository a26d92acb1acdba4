"""Asking the customer about a delivery: when, how often, and what ends it."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.logistics import confirm
from streams.domain.rules import data
from tests.unit.domain.logistics.watched import DAY, HOUR, MINUTE, T0

SETTINGS = data.logistics()
SHOP_DONE = {"known": True, "state": "customer_signed", "node": None, "flags": [], "event": None, "axis": None}


class Asked:
    """One order; times are ms after T0."""

    def __init__(self) -> None:
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
        assert confirm.concerns(fact)
        self.row, sends = confirm.observe(self.row, fact)
        self.sent += sends
        return self

    def signed(self, at: int = 0) -> Asked:
        return self.say("couriers", "signed", at, waybill_no="W1", courier="zto")

    def wait(self, until: int) -> Asked:
        while (due := confirm.next_due(self.row, SETTINGS)) is not None and due <= T0 + until:
            self.row, sends = confirm.fire("G1", self.row, due, due, SETTINGS)
            self.sent += sends
        return self

    def sleep(self, until: int) -> Asked:
        self.row, sends = confirm.fire("G1", self.row, T0 + until, T0 + until, SETTINGS)
        self.sent += sends
        return self

    @property
    def requests(self) -> list[tuple[str, int, int]]:
        return [(v["kind"], v["attempt"], v["at"] - T0) for topic, _, v in self.sent if topic == confirm.REQUESTS]


LINK = ("confirm_link", 1, 0)


@pytest.mark.rule("LOG-14")
def test_the_link_goes_out_at_the_signature_and_holds_for_seven_days() -> None:
    it = Asked().signed().wait(0)
    [(_, key, request)] = it.sent
    assert (key, request["kind"], request["waybill_no"]) == ("G1", "confirm_link", "W1")
    assert request["expires_at"] - request["at"] == 7 * DAY
    assert it.signed(HOUR).wait(2 * HOUR).requests == [LINK]


@pytest.mark.rule("LOG-15")
def test_without_a_word_for_more_than_24_hours_the_customer_is_called_and_again_after_72() -> None:
    it = Asked().signed().wait(DAY)
    assert it.requests == [LINK]
    it.wait(3 * DAY)
    assert it.requests == [LINK, ("voice_call", 1, DAY + 1)]
    it.wait(20 * DAY)
    assert it.requests == [LINK, ("voice_call", 1, DAY + 1), ("voice_call", 2, 3 * DAY + 1)]


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
