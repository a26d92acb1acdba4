"""The failure cases that the package brings along: what went wrong there must not go wrong here."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from streams.data import FOLDER, cases
from streams.engine.local import Abort, Crash
from streams.lines import read_lines
from tests.scenarios.cases.make import FILES, GHOSTS, LOST, TERMINAL_WORDS
from tests.scenarios.play import Played, feed, flood, new_runner, play, records


def case(number: int) -> Path:
    return next(path for path in cases() if path.name.startswith(f"case-{number:02d}-"))


def played(number: int, **options: Any) -> Played:
    return play(records(case(number)), **options)


def test_the_bundled_files_are_what_their_stories_write(tmp_path: Path) -> None:
    from streams.convert.common import write

    assert [path.name for path in cases()] == sorted(FILES)
    for path in cases():
        write(tmp_path / path.name, FILES[path.name]())
        fresh = [entry.raw for entry in read_lines([tmp_path / path.name])]
        assert [entry.raw for entry in read_lines([path])] == fresh, path.name
    assert (FOLDER / "cases" / "README.md").read_text(encoding="utf-8").count("case-") == len(FILES)


# -- case 3: 门卫代收 ------------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-03", "LOG-05")
def test_case_3_every_terminal_word_of_a_courier_ends_the_delivery() -> None:
    run = played(3)
    ends = {run.states[number]["claims"]["zto"]["raw"]: run.states[number] for number in sorted(run.states)}
    for word in TERMINAL_WORDS:
        assert (ends[word]["state"], ends[word]["node"]) == ("logistics_signed", "awaiting_confirm"), word
        assert ends[word]["flags"] == []


@pytest.mark.rule("ST-03", "LOG-05")
def test_case_3_the_word_counts_even_where_the_courier_sends_it_as_a_plain_scan() -> None:
    run = played(3)
    as_scan = run.states[max(run.states)]
    assert as_scan["claims"]["zto"]["raw"] == "门卫代收"
    assert as_scan["state"] == "logistics_signed"


@pytest.mark.rule("ST-03", "LOG-05")
def test_case_3_an_unknown_word_changes_nothing_and_is_told() -> None:
    run = played(3)
    refused = [row for number in run.states for row in run.audit(number) if row["decision"] == "refused"]
    assert [row["before"] == row["after"] for row in refused] == [True]
    assert "放门口鞋柜" in refused[0]["reason"]
    waiting = [state for state in run.states.values() if state["state"] == "shipped"]
    assert [state["node"] for state in waiting] == ["out_for_delivery", "out_for_delivery"]
    assert ["放门口鞋柜" in alert["detail"] for alert in run.alerts("ST-03")] == [True]


# -- case 16: orders vanished in a restart ----------------------------------------------------------------------------


def check_nothing_vanished(run: Played) -> None:
    states = run.states
    assert len(states) == LOST
    assert {(state["state"], tuple(state["flags"])) for state in states.values()} == {("paid", ())}
    assert all(state["paid_minor"] == state["total_minor"] for state in states.values())
    events = [value["event"] for value in run.output("order-events")]
    assert (events.count("created"), events.count("paid"), len(events)) == (LOST, LOST, 2 * LOST)
    assert not run.dead


@pytest.mark.rule("ID-05")
@pytest.mark.rule("DQ-13")
def test_case_16_everything_sent_again_changes_nothing() -> None:
    run = played(16)
    check_nothing_vanished(run)
    assert run.decisions["duplicate"] == len(records(case(16))) - 2 * LOST


@pytest.mark.rule("DQ-13")
@pytest.mark.parametrize("seed", range(3))
def test_case_16_a_worker_that_dies_again_and_again_loses_nothing(seed: int) -> None:
    chance = random.Random(seed)
    died = 0

    def fault(agent: str, worker: int, step: str) -> None:
        nonlocal died
        if chance.random() < 0.02:
            died += 1
            before_commit = step in ("fold", "collect")
            raise Abort if before_commit and chance.random() < 0.5 else Crash

    everything = records(case(16))
    crashed = Played(flood(new_runner(fault=fault, workers=2, batch=20), everything))
    assert died > 10
    check_nothing_vanished(crashed)
    assert final(crashed) == final(Played(flood(new_runner(batch=20), everything)))


@pytest.mark.rule("DQ-13")
def test_case_16_workers_that_lose_their_disks_go_on_from_the_changelog() -> None:
    everything = records(case(16))
    runner = feed(new_runner(workers=2), everything[:LOST])
    for worker in range(runner.workers):
        runner.crash(worker, lose_stores=True)
    check_nothing_vanished(Played(feed(runner, everything[LOST:])))


def final(run: Played) -> dict[str, dict[str, Any]]:
    """The last states without `version`, which counts turns as well."""
    return {number: {**state, "version": 0} for number, state in run.states.items()}


# -- case 21: ghost orders --------------------------------------------------------------------------------------------


@pytest.mark.rule("DQ-08")
def test_case_21_undecodable_payments_are_kept_byte_for_byte() -> None:
    ghosts = [payload for _, payload, _ in records(case(21)) if payload[:1] == b"{"]
    run = played(21)
    letters = run.output("dead-letters")
    assert len(ghosts) == GHOSTS
    assert [letter["value"] for letter in letters] == ghosts
    assert {(letter["topic"], letter["stage"]) for letter in letters} == {("payments", "decode")}


@pytest.mark.rule("DQ-08")
def test_case_21_sent_again_in_readable_form_all_orders_are_created_and_paid() -> None:
    run = played(21)
    ghosts = [state for state in run.states.values() if state["channel"] == "douyin"]
    assert len(ghosts) == GHOSTS
    assert {(state["state"], state["paid_minor"]) for state in ghosts} == {("paid", 19_900)}
    others = [state for state in run.states.values() if state["channel"] == "taobao"]
    assert {state["state"] for state in others} == {"paid"}


@pytest.mark.rule("DQ-08")
def test_case_21_the_third_undecodable_record_in_a_row_raises_an_alarm() -> None:
    everything = records(case(21))  # the first two are a good order of another platform
    assert not play(everything[:4], partitions=1).alerts("DQ-08")
    alerts = play(everything[:5], partitions=1).alerts("DQ-08")
    assert [alert["status"] for alert in alerts] == ["open"]


@pytest.mark.rule("DQ-08")
def test_case_21_the_alarm_counts_every_kept_record_and_stays_until_somebody_deals_with_it() -> None:
    alerts = played(21).alerts("DQ-08")
    assert sum(alert["count"] for alert in alerts) == GHOSTS
    assert {(alert["status"], alert["recipient"]) for alert in alerts} == {("open", "tech lead")}


# -- case 30: is it a sale? -------------------------------------------------------------------------------------------


@pytest.mark.rule("ST-05")
def test_case_30_only_who_has_the_authority_moves_the_state_and_every_claim_stays_visible() -> None:
    run = played(30)
    waits, travels, done = (run.states[number] for number in sorted(run.states))
    assert (waits["state"], waits["node"]) == ("paid", "paid")
    assert waits["claims"]["douyin"]["raw"] == "已发货"
    assert waits["claims"]["douyin"]["state"] == "shipped"
    assert waits["claims"]["wechatpay"]["state"] == "paid"
    assert (travels["state"], travels["node"]) == ("shipped", "out_for_delivery")
    assert (done["state"], done["flags"]) == ("settled", [])


@pytest.mark.rule("ST-05")
@pytest.mark.rule("ST-06")
def test_case_30_the_refused_claim_of_the_console_is_in_the_audit_log() -> None:
    run = played(30)
    refused = [row for row in run.audit(min(run.states)) if row["decision"] == "refused"]
    assert [(row["source"], row["rule"]) for row in refused] == [("douyin", "ST-05")]
    complaints = [row for row in run.audit(min(run.states)) if "一直没收到货" in str(row["raw"])]
    assert [row["decision"] for row in complaints] == ["accepted"]


# -- case 32: 已完成 is not delivered --------------------------------------------------------------------------------


@pytest.mark.rule("ST-03")
@pytest.mark.rule("ST-05")
def test_case_32_a_buyers_confirmation_is_no_courier_signature() -> None:
    run = played(32)
    late, never, proper = (run.states[number] for number in sorted(run.states))
    assert {state["state"] for state in (late, never, proper)} == {"customer_signed"}
    assert late["flags"] == proper["flags"] == []
    assert "conflict" in never["flags"]
    assert "gap" in never["flags"]
    assert "logistics_signed" not in never["entered_at"]
    # Whether it is delivered is open: no revenue and no invoice until the courier, or a person, has said so.
    assert [state["tiers"]["finance"] for state in (late, never, proper)] == [
        "revenue_due",
        "revenue_blocked",
        "revenue_due",
    ]
    assert {(state["claims"]["douyin"]["raw"], state["claims"]["douyin"]["state"]) for state in (late, never)} == {
        ("已完成", "customer_signed")
    }


@pytest.mark.rule("ST-05")
def test_case_32_the_conflict_lasts_until_the_courier_has_delivered() -> None:
    run = played(32)
    late = run.states[min(run.states)]["order_guid"]
    history = [value for key, value in run.runner.output("order-states") if key == late]
    flags = [(value["state"], "conflict" in value["flags"]) for value in history if value["state"] == "customer_signed"]
    assert flags[0] == ("customer_signed", True)
    assert flags[-1] == ("customer_signed", False)
    signed = [
        value for value in run.output("order-events") if value["event"] == "signed" and value["order_guid"] == late
    ]
    assert [value["sign_type"] for value in signed] == ["customer", "logistics"]
