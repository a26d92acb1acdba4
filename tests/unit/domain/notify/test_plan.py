"""Each stage of an alert is told once to each target; what repeats within half an hour is held; a closing reaches
whom the opening reached."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from streams.domain.notify.plan import DROPPED, PENDING, SENT, New, Noted, Plan, Routing, plan
from streams.domain.notify.routing import Route
from streams.domain.rules import data

pytestmark = pytest.mark.rule("OTH-05")
MINUTE = 60_000
T0 = 10_000_000
ROUTES = tuple(Route(name, frozenset({name})) for name in ("dingtalk", "ticket", "wecom"))
ROUTING = Routing(ROUTES, None, data.alert_policies(), 30 * MINUTE, since=T0)
ALERT = {"alert_key": "INV-11/BAG", "rule": "INV-11", "status": "open", "targets": ["dingtalk"], "opened_at": 500}
UP = {**ALERT, "status": "escalated", "level": 1, "targets": ["wecom"]}
CLOSED = {**ALERT, "status": "closed", "closed_at": 900}


def planned(alert: dict[str, Any], *noted: Noted, now: int = T0, routing: Routing = ROUTING, **more: Any) -> Plan:
    return plan(alert, noted, routing, now=now, appended_at=more.get("appended_at", now))


def told(stage: str, target: str = "dingtalk", state: str = SENT, at: int = T0, **more: Any) -> Noted:
    return Noted(more.pop("episode", 500), stage, target, state, at, **more)


def test_an_opening_is_told_once_however_often_it_repeats() -> None:
    assert planned(ALERT).add == [New("open", "dingtalk", T0)]
    again = planned({**ALERT, "count": 7}, told("open"), now=T0 + 99 * MINUTE)
    assert (again.add, again.drop, again.unrouted) == ([], [], False)


def test_a_level_is_told_to_those_it_names_and_once() -> None:
    assert planned(UP, told("open")).add == [New("level-1", "wecom", T0)]
    assert planned(UP, told("open"), told("level-1", "wecom")).add == []
    assert planned({**UP, "level": 2}, told("open"), told("level-1", "wecom")).add == [New("level-2", "wecom", T0)]


def test_of_an_escalated_alert_never_seen_the_opening_is_told_too() -> None:
    assert planned(UP).add == [New("open", "dingtalk", T0), New("level-1", "wecom", T0)]


def test_a_closing_goes_to_those_who_were_told() -> None:
    closing = planned(CLOSED, told("open"), told("level-1", "wecom"))
    assert closing.add == [New("closed", "dingtalk", T0), New("closed", "wecom", T0)]
    assert planned(CLOSED, told("open"), told("closed")).add == []


def test_what_still_waits_when_the_alert_closes_becomes_one_message() -> None:
    waiting = told("open", state=PENDING)
    closing = planned(CLOSED, waiting)
    assert (closing.drop, closing.add) == ([waiting], [New("closed", "dingtalk", T0)])


def test_a_closed_alert_never_seen_is_told_if_it_came_since_the_first_run() -> None:
    assert planned(CLOSED, appended_at=T0).add == [New("closed", "dingtalk", T0)]
    assert planned(CLOSED, appended_at=T0 - 1).add == []


def test_what_closed_before_the_first_run_is_not_told_also_where_its_opening_is_read() -> None:
    waiting = told("open", state=PENDING)
    closing = planned(CLOSED, waiting, appended_at=T0 - 1)
    assert (closing.drop, closing.add) == ([waiting], [])
    assert planned(CLOSED, told("open"), appended_at=T0 - 1).add == [New("closed", "dingtalk", T0)]


def test_the_same_alert_again_within_half_an_hour_is_held_and_at_half_an_hour_it_is_not() -> None:
    again = {**ALERT, "opened_at": 2000}
    before = (told("open"), told("closed"))
    held = planned(again, *before, now=T0 + 30 * MINUTE - 1)
    assert held.add == [New("open", "dingtalk", T0 + 30 * MINUTE, held=True)]
    at = T0 + 30 * MINUTE
    assert planned(again, *before, now=at).add == [New("open", "dingtalk", at)]


def test_what_is_held_and_closes_is_never_told_and_does_not_hold_the_next() -> None:
    held = told("open", state=PENDING, episode=2000, at=T0 + 1, held=True)
    closing = planned({**CLOSED, "opened_at": 2000}, told("open"), told("closed"), held, now=T0 + 5)
    assert (closing.drop, closing.add) == ([held], [])
    late = planned(
        {**ALERT, "opened_at": 3000}, told("open"), replace(held, state=DROPPED, at=T0 + 20 * MINUTE),
        now=T0 + 30 * MINUTE,
    )  # fmt: skip
    assert late.add == [New("open", "dingtalk", T0 + 30 * MINUTE)]


def test_levels_and_closings_are_not_held() -> None:
    assert [new.held for new in planned(UP, told("open"), now=T0 + 1).add] == [False]
    assert [new.held for new in planned(CLOSED, told("open"), now=T0 + 1).add] == [False]


def test_an_alert_that_opens_again_at_the_same_millisecond_is_another_one() -> None:
    before = (told("open"), told("closed"))
    late = T0 + 60 * MINUTE
    again = planned(ALERT, *before, now=late)
    assert (again.episode, again.add) == (501, [New("open", "dingtalk", late)])
    opened = told("open", episode=501, at=late)
    assert planned(ALERT, *before, opened, now=late).add == []
    closing = planned(CLOSED, *before, opened, now=late)
    assert (closing.episode, closing.add) == (501, [New("closed", "dingtalk", late)])
    assert planned(CLOSED, *before, now=late).add == []


def test_an_alert_nobody_takes_is_said_to_be_so() -> None:
    assert planned({**ALERT, "targets": ["sms"]}).unrouted
    taken = planned({**ALERT, "targets": ["sms"]}, routing=replace(ROUTING, default="ticket"))
    assert (taken.unrouted, [new.target for new in taken.add]) == (False, ["ticket"])


@pytest.mark.rule("LOG-03")
def test_what_is_for_the_dashboard_is_told_to_nobody_neither_when_it_opens_nor_when_it_closes() -> None:
    """Four hours without movement: no target is named, though those of LOG-03 are told after eight."""
    yellow = {**ALERT, "alert_key": "LOG-03/slow/G1/W1", "rule": "LOG-03", "targets": []}
    with_default = replace(ROUTING, default="ticket")
    for routing in (ROUTING, with_default):
        for alert in (yellow, {**yellow, "status": "closed", "closed_at": 900}):
            found = planned(alert, routing=routing)
            assert (found.add, found.unrouted) == ([], False)
    everything = replace(with_default, routes=(*ROUTES, Route("board", frozenset({"*"}))))
    assert planned(yellow, routing=everything).add == [New("open", "board", T0)]
    closing = planned({**yellow, "status": "closed", "closed_at": 900}, told("open", "board"), routing=everything)
    assert closing.add == [New("closed", "board", T0)]


def test_what_a_rule_without_targets_says_goes_to_the_default() -> None:
    nobody = {**ALERT, "rule": "FIN-03", "targets": []}
    with_default = replace(ROUTING, default="ticket")
    assert planned(nobody, routing=with_default).add == [New("open", "ticket", T0)]
    assert planned({**nobody, "status": "closed", "closed_at": 900}, routing=with_default).add == [
        New("closed", "ticket", T0)
    ]
