"""ST-09: an order is moved by hand by a command and two approvals of others, within two hours."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.commands.order_view import approval_sentence
from streams.domain.order import ManualRules, from_row, to_row
from streams.domain.order.manual import ELSEWHERE, MAX_REQUESTS, ManualError
from streams.domain.rules import data
from streams.domain.rules.nodes import NODES
from tests.support.effort import tries
from tests.unit.domain.order.facts import DAY, GUID, HOUR, MINUTE, T0, Fact, Run, created, fact, paid, step

SETTINGS = data.order_settings()
ASKED = T0 + HOUR


def command(when: int = ASKED, **fields: Any) -> Fact:
    given = {"command": "skip_quality_check", "operator": "li", "reason": "checked by hand", "request_id": "R1"}
    return fact("ops", "manual_command", when, **{k: v for k, v in (given | fields).items() if v is not None})


def approval(operator: str | None, when: int = ASKED + MINUTE, request_id: str = "R1", **fields: Any) -> Fact:
    names = {} if operator is None else {"operator": operator}
    return fact("ops", "approval", when, request_id=request_id, **names, **fields)


def run(*events: Fact) -> Run:
    order = Run(SETTINGS)
    order.tell(created(lines=[]), paid(), fact("wms", "picking_started", T0 + 30 * MINUTE), *events)
    return order


def said(order: Run, count: int) -> list[tuple[str, str]]:
    """(decision, reason) of the last audit rows, all of rule ST-09."""
    rows = order.audits[-count:]
    assert {row["rule"] for row in rows} == {"ST-09"}
    return [(row["decision"], row["reason"]) for row in rows]


@pytest.mark.rule("ST-09")
def test_the_node_changes_with_the_second_approval_and_every_step_is_audited() -> None:
    order = run(command(), approval("wang"))
    assert order.view()["node"] == "picking"
    order.tell(approval("zhao", ASKED + 2 * MINUTE))
    seen = order.view()
    assert (seen["node"], seen["state"], seen["node_entered_at"]) == ("packed", "paid", ASKED + 2 * MINUTE)
    assert said(order, 3) == [
        ("accepted", "packed: 2 more approvals by others than li needed"),
        ("accepted", "packed: 1 more approval by others than li needed"),
        ("accepted", "packed: approved by wang and zhao"),
    ]
    before, after = (json.loads(order.audits[-1][name]) for name in ("before", "after"))
    assert (before["node"], after["node"]) == ("picking", "packed")
    assert [row["operator"] for row in order.audits[-3:]] == ["li", "wang", "zhao"]
    assert seen["pending_approvals"] is None


@pytest.mark.rule("ST-09")
def test_blanks_around_a_name_make_no_other_person_of_it() -> None:
    order = run(command(operator="li "), approval("wang"), approval(" wang "), approval("li"))
    assert [decision for decision, _ in said(order, 3)] == ["accepted", "duplicate", "refused"]
    assert order.view()["node"] == "picking"


@pytest.mark.rule("ST-09")
def test_capitals_make_no_other_person_of_a_name() -> None:
    order = run(command(operator="Li"), approval("wang"), approval("WANG"), approval("li"))
    assert [decision for decision, _ in said(order, 3)] == ["accepted", "duplicate", "refused"]
    assert order.view()["node"] == "picking"
    early = run(approval("li"), approval("Wang"), command(operator="LI"), approval("wang"))
    assert early.view()["node"] == "picking"
    early.tell(approval("zhao"))
    assert early.view()["node"] == "packed"


@pytest.mark.rule("ST-09")
def test_what_waits_is_shown_with_who_is_missing_and_until_when() -> None:
    order = run(command(), approval("wang"))
    assert order.view()["pending_approvals"] == [
        {
            "request_id": "R1",
            "command": "skip_quality_check",
            "node": "packed",
            "requested_by": "li",
            "requested_at": ASKED,
            "approved_by": ["wang"],
            "missing": 1,
            "expires_at": ASKED + 2 * HOUR,
        }
    ]


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    ("now", "left"), [(ASKED, "2 h 0 min left"), (ASKED + 2 * HOUR, "0 min left"), (ASKED + 2 * HOUR + 1, "expired")]
)
def test_oms_order_says_what_waits_for_whom_and_until_when(now: int, left: str) -> None:
    [request] = run(command(), approval("wang")).view()["pending_approvals"]
    assert approval_sentence(request, now) == (
        "R1: skip_quality_check to packed, asked by li, approved by wang; 1 more of others until"
        f" 2026-01-24 13:00:00 +08 ({left})"
    )


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    ("approvals", "node", "last"),
    [
        ([approval("li")], "picking", ("refused", "who asked cannot approve")),
        ([approval("wang"), approval("wang", ASKED + 2 * MINUTE)], "picking", ("duplicate", "has approved it before")),
        ([approval(None)], "picking", ("refused", "no operator: who asks and who approves must be known")),
        (
            [approval("wang"), approval("zhao", ASKED + 2 * HOUR)],
            "packed",
            ("accepted", "packed: approved by wang and zhao"),
        ),
        ([approval("wang"), approval("zhao", ASKED + 2 * HOUR + 1)], "picking", ("refused", "the request had expired")),
        ([approval("wang", request_id="R2")], "picking", ("accepted", "waits for its command")),
        ([approval("a"), approval("b"), approval("c")], "packed", ("duplicate", "approved already")),
    ],
)
def test_two_others_must_approve_in_time(approvals: list[Fact], node: str, last: tuple[str, str]) -> None:
    order = Run(SETTINGS)
    order.tell(created(lines=[]), paid(), fact("wms", "picking_started", T0 + 30 * MINUTE), command())
    for event in approvals:  # as they arrive, before any timer
        decision = step(order.state, event, SETTINGS)
        order.state = decision.state
        order.audits.append(decision.audit)
    assert order.view()["node"] == node
    assert said(order, 1) == [last]


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"command": "make_coffee"}, "'make_coffee' is no command about an order"),
        ({"reason": None}, "no reason given"),
        ({"operator": None}, "no operator: who asks and who approves must be known"),
        ({"request_id": None}, "no request_id: nobody could approve it"),
        ({"command": "move_node"}, 'move_node needs a value such as {"node": "packed"}'),
        ({"command": "move_node", "value": "[1]"}, 'move_node needs a value such as {"node": "packed"}'),
        ({"command": "move_node", "value": "[" * 5000}, 'move_node needs a value such as {"node": "packed"}'),
        ({"command": "move_node", "value": '{"node": "nowhere"}'}, "move_node: unknown node"),
        ({"command": "move_node", "value": '{"node": ["packed"]}'}, "move_node: unknown node"),
        ({"command": "move_node", "value": '{"node": "paid"}'}, "no order is moved to paid by hand"),
    ],
)
def test_a_command_that_cannot_be_carried_out_is_refused_with_the_reason(wrong: dict[str, Any], reason: str) -> None:
    order = run(command(**wrong), approval("wang"), approval("zhao", ASKED + 2 * MINUTE))
    assert order.view()["node"] == "picking"
    [audit] = [row for row in order.audits if row["event_type"] == "manual_command"]
    assert (audit["decision"], audit["rule"], audit["reason"]) == ("refused", "ST-09", reason)


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize("node", [node.name for node in NODES])
def test_a_move_goes_where_the_node_record_allows_it_and_never_moves_the_state(node: str) -> None:
    value = json.dumps({"node": node})
    order = run(command(command="move_node", value=value), approval("wang"), approval("zhao"))
    allowed = data.node_records().nodes[[n.name for n in NODES].index(node)].manual_move
    assert order.view()["state"] == "paid"
    decision, reason = said(order, 1)[0]
    if not allowed:
        assert reason == "waits for its command"  # which was refused
    elif node in ("quality_check", "packed"):
        assert (order.view()["node"], decision) == (node, "accepted")
    elif [n.state for n in NODES if n.name == node] == ["paid"]:
        assert order.view()["node"] == "picking"
        assert decision == ("accepted" if node == "picking" else "filled_in")
    else:
        assert (order.view()["node"], decision) == ("picking", "accepted")
        assert reason.endswith("the order comes there once it is shipped")
        order.tell(fact("wms", "loaded", ASKED + HOUR))
        assert order.view()["node"] == node


@pytest.mark.rule("ST-09")
def test_a_request_that_nobody_approves_expires_and_is_audited() -> None:
    order = run(command(), approval("wang"))
    order.wait_until(ASKED + 2 * HOUR)
    assert len(order.view()["pending_approvals"]) == 1
    version = order.view()["version"]
    order.wait_until(ASKED + 2 * HOUR + 1)
    assert order.view()["pending_approvals"] is None
    assert order.view()["version"] == version + 1
    assert said(order, 1) == [("refused", "request R1 expired: 1 more approval by others than li needed")]
    assert (order.audits[-1]["at"], order.audits[-1]["order_guid"]) == (ASKED + 2 * HOUR, GUID)
    # What was approved in time counts, even if it is read later.
    late = step(order.state, approval("zhao", ASKED + 2 * HOUR), SETTINGS)
    assert late.state.node == 12


@pytest.mark.rule("ST-09")
def test_approvals_may_come_first_and_those_of_the_requester_or_too_late_do_not_count() -> None:
    first = [approval("wang"), approval("li"), approval("zhao", ASKED + 2 * HOUR + 1)]
    state = run().state
    for event in [*first, command()]:
        decision = step(state, event, SETTINGS)
        state = decision.state
    assert decision.audit["reason"] == (
        "packed: 1 more approval by others than li needed; not counted: li, zhao, who asked or came too late"
    )
    assert step(state, approval("qian"), SETTINGS).state.node == 12


@pytest.mark.rule("ST-09")
def test_a_request_id_names_one_command() -> None:
    order = run(command(), command(command="move_node", value='{"node": "loaded"}'), approval("a"), approval("b"))
    assert ("refused", "the request_id is in use by an earlier command") in [
        (row["decision"], row["reason"]) for row in order.audits
    ]
    assert order.view()["node"] == "packed"


@pytest.mark.rule("ST-09")
def test_requests_are_bounded_and_what_is_over_makes_room() -> None:
    order = run(*(command(request_id=f"R{n}") for n in range(MAX_REQUESTS + 1)))
    assert order.audits[-1]["reason"] == f"{MAX_REQUESTS} requests wait already"
    order.wait_until(ASKED + DAY)
    order.tell(command(ASKED + DAY, request_id="R99"))
    assert order.audits[-1]["decision"] == "accepted"


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize("name", sorted(ELSEWHERE))
def test_commands_that_others_obey_are_noted_and_not_refused(name: str) -> None:
    order = run(command(command=name, request_id=None))
    audit = order.audits[-1]
    assert (audit["decision"], audit["rule"], audit["reason"]) == ("accepted", "ST-06", None)
    assert order.view()["pending_approvals"] is None


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"approvals": 0}, "approvals is no number from 1"),
        ({"approvals": 9}, "at most 8 approvals"),
        ({"expires_ms": True}, "expires_ms is no number from 1"),
        ({"commands": {"refresh_waybill": None}}, "refresh_waybill: it means something else already"),
        ({"commands": {"x": "nowhere"}}, "x: unknown node 'nowhere'"),
        ({"words": {"yes": ["ok"]}}, "words of approvals: fields missing or unknown"),
        ({"more": 1}, "fields missing or unknown"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], text: str) -> None:
    words = {"fields": ["approved"], "yes": ["true"], "no": ["false"]}
    with pytest.raises(ManualError, match=text):
        ManualRules.parse({"approvals": 2, "expires_ms": 1, "commands": {}, "words": words} | wrong)


@pytest.mark.rule("ST-09")
def test_the_row_keeps_requests() -> None:
    state = run(command(), approval("wang")).state
    assert state is not None
    assert from_row(to_row(state)) == state


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    "no",
    [
        {"value": '{"approved": false}'},
        {"value": '{"approved": "No"}'},
        {"value": '{"approved": true, "decision": "reject"}'},
        {"value": '{"rejected": true}'},
        {"value": '"rejected"'},
        {"value": "rejected"},
        {"value": "false"},
        {"value": "驳回：库存不符"},
        {"command": "reject"},
        {"reason": "Rejected, there is no stock"},
    ],
)
def test_a_rejection_never_counts_and_ends_the_request(no: dict[str, Any]) -> None:
    order = run(command(), approval("wang"), approval("zhao", ASKED + 2 * MINUTE, **no))
    decision, reason = said(order, 1)[0]
    assert (decision, reason.split(": ", 2)[:2]) == ("refused", ["packed", "rejected by zhao"])
    assert order.audits[-1]["operator"] == "zhao"
    seen = order.view()
    assert (seen["node"], seen["pending_approvals"], seen["updated_at"]) == ("picking", None, ASKED + 2 * MINUTE)
    order.tell(approval("qian", ASKED + 3 * MINUTE), approval("zhao", ASKED + 4 * MINUTE))
    assert order.view()["node"] == "picking"
    assert said(order, 2) == [("refused", "zhao has rejected it")] * 2
    order.wait_until(ASKED + DAY)
    assert order.audits[-1]["reason"] == "zhao has rejected it"  # it does not expire as well
    assert order.state is not None
    assert from_row(to_row(order.state)) == order.state


@pytest.mark.rule("ST-09")
def test_a_rejection_is_audited_with_its_reason_and_who_asked_may_take_it_back() -> None:
    no = approval("wang", reason="the check is not done", value='{"approved": false}')
    assert said(run(command(), no), 1) == [("refused", "packed: rejected by wang: the check is not done")]
    inside = approval("li", value='{"approved": false, "reason": "a mistake"}')
    assert said(run(command(), inside), 1) == [("refused", "packed: rejected by li: a mistake")]


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    "yes", [{"value": '{"approved": true}'}, {"value": '{"decision": "OK", "rejected": false}'}, {"value": "seen"}]
)
def test_an_approval_that_says_yes_or_nothing_of_it_counts(yes: dict[str, Any]) -> None:
    assert run(command(), approval("wang", **yes), approval("zhao", **yes)).view()["node"] == "packed"


@pytest.mark.rule("ST-09")
def test_an_answer_that_is_neither_counts_for_nothing() -> None:
    order = run(command(), approval("wang"), approval("zhao", value='{"decision": "later"}'))
    assert said(order, 1) == [("refused", "its value neither approves nor rejects")]
    order.tell(approval("zhao", ASKED + 2 * MINUTE))
    assert order.view()["node"] == "packed"


@pytest.mark.rule("ST-09")
@pytest.mark.parametrize(
    "value", ["[" * 5000, '{"a":' * 5000, '{"approved": false, "reason": "\\ud800"}', '{"approved": false', "[1"]
)
def test_an_answer_that_cannot_be_read_approves_nothing_and_stops_nobody(value: str) -> None:
    order = run(command(), approval("wang"), approval("zhao", value=value))
    assert said(order, 1) == [("refused", "its value neither approves nor rejects")]
    assert order.view()["node"] == "picking"


@pytest.mark.rule("ST-09")
def test_what_was_told_first_counts_of_approvals_and_a_rejection() -> None:
    """Whatever the order of arrival: only what has been done is not undone."""
    yes = [approval("wang"), approval("zhao", ASKED + 2 * MINUTE)]
    late, early = (approval("qian", when, value="rejected") for when in (ASKED + 3 * MINUTE, ASKED + MINUTE))
    for no, node in ((late, "packed"), (early, "picking")):
        for events in permutations([command(), *yes, no]):
            if no is early and events.index(no) == 3:
                continue  # moved before anybody heard of it
            state = run().state
            for event in events:
                state = step(state, event, SETTINGS).state
            assert state is not None
            assert NODES[state.node - 1].name == node
    order = run(command(), *yes, early)
    assert order.view()["node"] == "packed"
    assert said(order, 1) == [("refused", "rejected too late: it was approved already")]


@st.composite
def stories(draw: st.DrawFn) -> list[Fact]:
    """Approvals of one command by few people around its limit, some twice."""
    people = st.sampled_from(["li", "wang", "zhao"])
    times = st.sampled_from([-1, 0, 1, 2 * HOUR, 2 * HOUR + 1])
    told = [approval(who, ASKED + when) for who, when in draw(st.lists(st.tuples(people, times), max_size=5))]
    return [{**event, "event_id": f"a-{n}", "digest": n} for n, event in enumerate(told)]


@pytest.mark.rule("ST-09")
@settings(max_examples=tries(200), deadline=None)
@given(stories(), st.data())
def test_whatever_comes_first_the_same_two_others_move_the_order(story: list[Fact], choice: st.DataObject) -> None:
    """Oracle: two of the people other than the requester said so at the limit at the latest."""
    people = {event["operator"] for event in story if event["event_time"] <= ASKED + 2 * HOUR} - {"li"}
    bag = [command(event_id="c", digest=99), *story]
    state = run().state
    for event in choice.draw(st.permutations(bag + choice.draw(st.lists(st.sampled_from(bag), max_size=3)))):
        state = step(state, event, SETTINGS).state
    assert state is not None
    assert (NODES[state.node - 1].name == "packed") == (len(people) == 2)


@pytest.mark.rule("ST-09")
def test_how_many_approvals_it_takes_is_a_setting() -> None:
    one = replace(SETTINGS, manual=replace(SETTINGS.manual, approvals=1))
    for events in permutations([command(), approval("wang")]):
        state = run().state
        for event in events:
            state = step(state, event, one).state
        assert state is not None
        assert state.node == 12
