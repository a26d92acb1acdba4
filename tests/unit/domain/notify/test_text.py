"""What people read: plain, whole, and within what the target takes."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain import calendar
from streams.domain.notify import text

pytestmark = pytest.mark.rule("OTH-05")
T0 = calendar.at(2026, 1, 22, 20, 0, 5)
ALERT: dict[str, Any] = {
    "alert_key": "INV-11/BAG", "rule": "INV-11", "severity": "critical", "title": "SKU BAG oversold",
    "detail": "31 units within 5 min", "advice": "Reconcile the stock.", "recipient": "stock owner", "count": 3,
    "opened_at": T0, "updated_at": T0 + 245_000, "channel": "douyin", "order_guid": "G-1",
}  # fmt: skip


def test_an_opening_says_what_since_when_how_often_where_what_to_do_and_who() -> None:
    assert text.message("open", ALERT) == text.Message(
        "[critical] SKU BAG oversold",
        "[critical] SKU BAG oversold\n"
        "31 units within 5 min\n"
        "Since 2026-01-22 20:00:05 (Shanghai), 3 times, last 2026-01-22 20:04:10\n"
        "About: order G-1, channel douyin\n"
        "To do: Reconcile the stock.\n"
        "For: stock owner\n"
        "Rule INV-11, alert INV-11/BAG",
    )
    assert "once" in text.message("open", {**ALERT, "count": 1}).text


def test_a_level_says_for_how_long_nobody_solved_it_and_a_closing_that_it_is_over() -> None:
    up = text.message("level-1", {**ALERT, "escalated_at": T0 + 2 * calendar.HOUR_MS, "recipient": "supervisor"})
    assert up.title == "[critical, level 1] SKU BAG oversold"
    assert "for 2 h 0 min without a solution" in up.text
    closed = text.message("closed", {**ALERT, "closed_at": T0 + 61_000, "closed_by": "person"})
    assert closed.title == "[closed] SKU BAG oversold"
    assert "open for 1 min" in closed.text
    assert "by a person. Nothing is left to do." in closed.text
    assert "To do" not in closed.text
    forgotten = text.message("closed", {**ALERT, "closed_at": T0 + 61_000, "closed_by": "forgotten"})
    assert "nobody follows it any more; it was never seen to." in forgotten.text
    assert "Nothing is left to do" not in forgotten.text


def test_what_a_system_wrote_cannot_break_the_lines() -> None:
    said = text.message("open", {**ALERT, "title": "a\r\nBcc: x\x00", "detail": "b\n\nc" + "d" * 999})
    assert said.title == "[critical] a Bcc: x"
    assert len(said.text.splitlines()) == 7
    assert text.message("open", {"alert_key": "k_1", "status": "open"}).title == "[warning] k_1"
    assert text.message("open", {**ALERT, "title": "mapping_missing"}).title == "[critical] mapping missing"


def test_a_digest_lists_what_fits_and_says_that_others_follow() -> None:
    held = [("open", {**ALERT, "alert_key": f"INV-11/{number}"}) for number in range(30)]
    message, listed = text.digest(held, 20, 100_000)
    assert listed == 30
    assert message.title == "[digest] 30 alerts"
    assert sum(line.startswith("- [critical] SKU BAG oversold, since ") for line in message.text.splitlines()) == 30
    short, listed = text.digest(held, 20, 1_000)
    assert 0 < listed < 30
    assert len(short.text.encode()) <= 1_000
    assert f"{listed} listed" in short.text
    assert short.text.endswith("The others follow.")
    assert text.digest(held, 20, 10)[1] == 1, "however little fits, it goes on"


@pytest.mark.parametrize(("most", "wanted"), [(6, "库存"), (5, "…"), (100, "库存")])
def test_a_text_is_cut_at_a_character(most: int, wanted: str) -> None:
    assert text.fit("库存", most) == wanted


@pytest.mark.parametrize(
    ("ms", "said"),
    [(59_999, "59 s"), (60_000, "1 min"), (3_600_000, "1 h 0 min"), (90_000_000, "1 d 1 h"), (-5, "0 s")],
)
def test_spans(ms: int, said: str) -> None:
    assert text.span(ms) == said


@pytest.mark.parametrize("at", [2**62, -(2**62), None])
def test_a_time_that_no_calendar_has_is_unknown(at: int | None) -> None:
    assert "Since unknown" in text.message("open", {**ALERT, "opened_at": at}).text
    assert "since unknown" in text.digest([("open", {**ALERT, "opened_at": at})] * 2, 20, 4000)[0].text


def test_a_message_of_an_alert_that_says_nothing_but_its_key_can_be_read() -> None:
    bare = dict.fromkeys(ALERT) | {"alert_key": "X/1", "status": "open", "title": None}
    message = text.message("open", bare)
    assert message.title == "[warning] X/1"
    assert "Since unknown (Shanghai), once" in message.text


def test_a_huge_text_is_cut_and_never_fills_a_message() -> None:
    huge = text.message(
        "open", {**ALERT, "detail": "龘" * 1_000_000, "advice": "\x00\ud800" * 10_000, "title": "t" * 10**6}
    )
    assert len(huge.text.encode()) < 6_000
