"""One target: limit, digest, waits; and alerts through the whole notifier, with restarts between any two steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from streams.domain.notify.pace import MINUTE_MS
from streams.notify.requests import Outcome
from tests.unit.notify.desk import T0, Desk, Hand, alert, robot, settings

pytestmark = pytest.mark.rule("OTH-05")
HOUR = 3_600_000
AWAY = Outcome(False, "timed out")
REFUSES = Outcome(False, "HTTP 400", refused=True)


class Picky(Hand):
    """Refuses one message for what it says."""

    def send(self, target: Any, message: Any, about: Any, now: int) -> Outcome:
        if any(each.key == "INV-11/0000" for each in about):
            self.tried += 1
            return REFUSES
        return super().send(target, message, about, now)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(
        settings({"group": robot(), "desk": robot("wecom"), "mail": robot("feishu", **{"for": ["dingtalk"]})}), tmp_path
    )


def say(desk: Desk, count: int, **more: Any) -> list[tuple[str, str]]:
    keys = [f"INV-11/{number:04d}" for number in range(count)]
    for key in keys:
        desk.records.say(alert(key, **more), desk.now)
    return [("open", key) for key in keys]


def test_each_stage_reaches_each_target_once_also_over_restarts(desk: Desk) -> None:
    for value in (
        alert(), alert(count=2), alert(status="escalated", level=1, targets=["wecom"]),
        alert(status="closed", level=1, targets=["wecom"]),
    ):  # fmt: skip
        desk.records.say(value)
        desk.turn().again()
        desk.turn()
    key = "INV-11/BAG"
    assert desk.hand.told("group") == desk.hand.told("mail") == [("open", key), ("closed", key)]
    assert desk.hand.told("desk") == [("level-1", key), ("closed", key)]
    assert desk.records.committed == {0: 4}


def test_twenty_a_minute_and_the_rest_in_digests(desk: Desk) -> None:
    wanted = say(desk, 21)
    desk.turn()
    sizes = [len(about) for name, about in desk.hand.took if name == "group"]
    assert sizes == [1] * 19 + [2]
    assert sorted(desk.hand.told("group")) == wanted
    desk.records.say(alert("INV-11/X1")).say(alert("INV-11/X2"))
    desk.turn(T0 + MINUTE_MS - 1)
    assert len(desk.hand.told("group")) == 21
    assert desk.value("oms_notify_held_back_total", target="group", why="limit") == 4
    desk.again()
    desk.turn(T0 + MINUTE_MS - 1)
    assert len(desk.hand.told("group")) == 21, "the limit survives a restart"
    desk.turn(T0 + MINUTE_MS)
    assert len(desk.hand.told("group")) == 23
    assert len([1 for name, _ in desk.hand.took if name == "mail"]) == 23, "a target with another limit is not held"


def test_a_flood_is_told_once_each_in_digests_that_fit(desk: Desk) -> None:
    wanted = say(desk, 700)
    for minute in range(20):
        desk.turn(T0 + minute * MINUTE_MS)
    assert sorted(desk.hand.told("group")) == wanted
    assert max(len(text.encode()) for text in desk.hand.texts) <= 15_000


def test_all_targets_down_for_an_hour_then_back_and_every_alert_told_once(desk: Desk) -> None:
    desk.hand.down = dict.fromkeys(("group", "desk", "mail"), AWAY)
    wanted = say(desk, 15)
    for minute in range(60):
        desk.turn(T0 + minute * MINUTE_MS)
        if minute == 30:
            desk.again()
    assert not desk.hand.took
    assert desk.hand.tried < 100, "waits grow: an hour is no storm of tries"
    assert desk.records.committed == {0: 15}
    assert desk.value("oms_notify_target_up", target="group") == 0
    desk.hand.down = {}
    for minute in range(60, 70):
        desk.turn(T0 + minute * MINUTE_MS)
    for target in ("group", "mail"):
        assert sorted(desk.hand.told(target)) == wanted
    assert desk.value("oms_notify_target_up", target="group") == 1
    assert desk.value("oms_notify_delivered_total", target="group") == 15
    assert desk.value("oms_notify_late_seconds_sum", target="group") >= 15 * 3600


def test_what_opens_and_closes_while_its_target_is_down_is_one_message(desk: Desk) -> None:
    desk.hand.down = {"group": AWAY}
    desk.records.say(alert())
    desk.turn()
    desk.records.say(alert(status="closed"))
    desk.turn(T0 + MINUTE_MS)
    desk.hand.down = {}
    desk.turn(T0 + 10 * MINUTE_MS)
    assert desk.hand.told("group") == [("closed", "INV-11/BAG")]


def test_a_target_that_is_down_holds_up_no_other(desk: Desk) -> None:
    desk.hand.down = {"group": AWAY}
    say(desk, 3)
    desk.turn()
    assert len(desk.hand.told("mail")) == 3


def test_a_target_that_asks_for_time_gets_it(desk: Desk) -> None:
    desk.hand.down = {"group": Outcome(False, "HTTP 429", after_ms=90_000)}
    say(desk, 1)
    desk.turn()
    tried = desk.hand.tried
    desk.hand.down = {}
    desk.turn(T0 + 89_999)
    assert desk.hand.tried == tried
    desk.turn(T0 + 90_000)
    assert len(desk.hand.told("group")) == 1


def test_a_message_that_is_refused_holds_up_no_other_and_is_given_up_after_a_day(tmp_path: Path) -> None:
    desk = Desk(settings({"group": robot()}), tmp_path, Picky())
    wanted = say(desk, 30)
    for minute in range(10):
        desk.turn(T0 + minute * MINUTE_MS)
    assert sorted(desk.hand.told("group")) == wanted[1:]
    desk.turn(T0 + 24 * HOUR - 1)
    assert desk.outbox.pending() == 1
    desk.turn(T0 + 26 * HOUR)
    assert desk.outbox.pending() == 0
    assert desk.value("oms_notify_given_up_total", target="group") == 1


def test_an_alert_that_flaps_is_told_every_half_hour_at_most(desk: Desk) -> None:
    for minute in range(0, 60, 5):
        opened = T0 + minute * MINUTE_MS
        desk.records.say(alert(opened_at=opened), opened)
        desk.turn(opened)
        desk.records.say(alert(status="closed", opened_at=opened), opened + 1000)
        desk.turn(opened + 1000)
    assert [stage for stage, _ in desk.hand.told("group")] == ["open", "closed", "open", "closed"]
    assert desk.value("oms_notify_held_back_total", target="group", why="repeat") == 10


def test_what_is_held_for_half_an_hour_and_stays_open_is_told_then(desk: Desk) -> None:
    desk.records.say(alert()).say(alert(status="closed"))
    desk.turn()
    # one closing, since nothing had been sent before it came
    assert [stage for stage, _ in desk.hand.told("group")] == ["closed"]
    desk.records.say(alert(opened_at=T0 + 1))
    desk.turn(T0 + MINUTE_MS)
    desk.records.say(alert(status="closed", opened_at=T0 + 1))
    desk.turn(T0 + 2 * MINUTE_MS)
    desk.records.say(alert(opened_at=T0 + 2))
    desk.turn(T0 + 3 * MINUTE_MS)
    assert [stage for stage, _ in desk.hand.told("group")] == ["closed", "open", "closed"]
    desk.turn(T0 + 31 * MINUTE_MS - 1)
    assert len(desk.hand.told("group")) == 3
    desk.turn(T0 + 31 * MINUTE_MS)
    assert [stage for stage, _ in desk.hand.told("group")] == ["closed", "open", "closed", "open"]


def test_a_repeat_counts_into_the_message_that_still_waits(desk: Desk) -> None:
    desk.hand.down = {"group": AWAY}
    desk.records.say(alert())
    desk.turn()
    desk.records.say(alert(count=9))
    desk.hand.down = {}
    desk.turn(T0 + MINUTE_MS)
    [text] = [t for t in desk.hand.texts if "9 times" in t]
    assert text


def test_tombstones_and_unreadable_records_stop_nothing(desk: Desk) -> None:
    desk.records.say(None).say(None, readable=False).say(alert()).say(alert("X", targets=["sms"]))
    desk.turn()
    assert desk.hand.told("group") == [("open", "INV-11/BAG")]
    assert desk.value("oms_notify_unreadable_total") == 1
    assert desk.value("oms_notify_unrouted_total") == 1
    assert desk.outbox.offsets() == {0: 4}


def test_the_outbox_forgets_what_closed_a_month_ago_and_nothing_else(desk: Desk) -> None:
    desk.records.say(alert()).say(alert("INV-11/OPEN"))
    desk.turn()
    desk.records.say(alert(status="closed"))
    desk.turn()
    month = 30 * 24 * HOUR
    desk.outbox.forget(T0 + month)
    assert len(desk.outbox.noted("INV-11/BAG")) == 4
    desk.outbox.forget(T0 + month + 1)
    assert desk.outbox.noted("INV-11/BAG") == []
    assert len(desk.outbox.noted("INV-11/OPEN")) == 2


def test_personal_data_that_slipped_into_a_detail_is_not_sent(desk: Desk) -> None:
    desk.records.say(alert(detail="call 13812345678, phone: 0571-888"))
    desk.turn()
    assert "138" not in desk.hand.texts[0]
    assert "0571" not in desk.hand.texts[0]


def test_a_message_that_was_refused_once_is_in_no_digest(tmp_path: Path) -> None:
    desk = Desk(settings({"group": robot(per_minute=2)}), tmp_path, Picky())
    desk.records.say(alert("INV-11/0000"))
    desk.turn()
    desk.records.say(alert("INV-11/0001")).say(alert("INV-11/0002"))
    desk.turn(T0 + 1_000)
    assert desk.hand.took == [("group", [("open", "INV-11/0001"), ("open", "INV-11/0002")])]


def test_messages_of_a_target_that_is_gone_neither_block_the_reading_nor_count_as_waiting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.outlet.outlet.MOST_WAITING", 5)
    desk = Desk(settings({"old": robot()}), tmp_path)
    desk.hand.down["old"] = AWAY
    say(desk, 5)
    desk.turn()
    desk.config = settings({"new": robot()})
    desk.again()
    desk.records.say(alert("INV-11/NEW"))
    assert desk.notifier.run(once=True, wait_s=5) == 0
    assert desk.hand.told("new") == [("open", "INV-11/NEW")]
    assert "5 messages wait for targets" in caplog.text


def test_a_run_that_is_to_end_ends_though_a_full_outbox_keeps_it_from_the_end_of_the_topic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.outlet.outlet.MOST_WAITING", 5)
    desk = Desk(settings({"group": robot()}), tmp_path)
    desk.hand.down["group"] = AWAY
    say(desk, 5)
    desk.turn()
    desk.records.say(alert("INV-11/NEW"))
    assert desk.notifier.run(once=True, wait_s=0.2) == 5
    assert not desk.records.at_end()


def test_what_was_held_and_dropped_is_forgotten_too(tmp_path: Path) -> None:
    desk = Desk(settings({"group": robot()}), tmp_path)
    for number in range(3):  # flaps within the quiet half hour: all but the first are held, then dropped
        at = T0 + number * MINUTE_MS
        desk.records.say(alert(opened_at=at), at)
        desk.turn(at).records.say(alert(status="closed", opened_at=at, closed_at=at + 1), at)
        desk.turn(at)

    def rows() -> int:
        [(count,)] = desk.outbox._db.execute("SELECT count(*) FROM messages")
        return int(count)

    assert rows() == 4
    desk.outbox.forget(T0 + 2 * MINUTE_MS + 30 * 24 * HOUR)
    assert rows() == 1  # the last one was made exactly 30 days ago
    desk.outbox.forget(T0 + 2 * MINUTE_MS + 30 * 24 * HOUR + 1)
    assert rows() == 0


def test_an_open_alert_is_remembered_for_as_long_as_it_is_open(tmp_path: Path) -> None:
    desk = Desk(settings({"group": robot()}), tmp_path)
    desk.records.say(alert())
    desk.turn().outbox.forget(T0 + 365 * 24 * HOUR)
    desk.records.say(alert(count=2))
    desk.turn()
    assert desk.hand.told("group") == [("open", "INV-11/BAG")]
