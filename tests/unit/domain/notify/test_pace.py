"""So many messages a minute, a digest in the last place, and waits that grow to a bound."""

from __future__ import annotations

import pytest

from streams.domain.notify.pace import MINUTE_MS, Action, Limits, Next, decide, free, wait_ms

pytestmark = pytest.mark.rule("OTH-05")
LIMITS = Limits(per_minute=20)
NOW = 1_000_000


def test_a_message_counts_for_less_than_sixty_seconds() -> None:
    assert free([NOW - MINUTE_MS + 1], NOW, LIMITS) == 19
    assert free([NOW - MINUTE_MS], NOW, LIMITS) == 20


def test_a_clock_that_was_set_back_holds_nothing_up() -> None:
    assert free([NOW, NOW + 1], NOW, LIMITS) == 19
    assert decide(1, [NOW + 3_600_000] * 20, 0, NOW, LIMITS).action is Action.ONE


def test_twenty_go_one_by_one_and_of_twenty_one_the_last_two_are_a_digest() -> None:
    for due, wanted in ((20, ["ONE"] * 20), (21, ["ONE"] * 19 + ["DIGEST"])):
        sends: list[int] = []
        seen = []
        left = due
        while left:
            doing = decide(left, sends, 0, NOW, LIMITS)
            if doing.action is Action.WAIT:
                break
            seen.append(doing.action.name)
            left = 0 if doing.action is Action.DIGEST else left - 1
            sends.append(NOW)
        assert seen == wanted


def test_the_last_place_goes_to_a_single_message_if_it_is_alone() -> None:
    assert decide(1, [NOW] * 19, 0, NOW, LIMITS).action is Action.ONE
    assert decide(2, [NOW] * 19, 0, NOW, LIMITS).action is Action.DIGEST
    assert decide(2, [NOW] * 18, 0, NOW, LIMITS).action is Action.ONE


def test_a_full_minute_waits_until_the_first_message_of_it_is_a_minute_old() -> None:
    sends = [NOW - 50_000, *[NOW - 10] * 19]
    assert decide(5, sends, 0, NOW, LIMITS) == Next(Action.WAIT, NOW + 10_000)
    assert decide(5, sends, 0, NOW + 9_999, LIMITS).action is Action.WAIT
    assert decide(5, sends, 0, NOW + 10_000, LIMITS).action is Action.DIGEST


def test_a_target_that_fails_is_left_alone_until_its_time() -> None:
    assert decide(1, [], NOW + 1, NOW, LIMITS) == Next(Action.WAIT, NOW + 1)
    assert decide(1, [], NOW, NOW, LIMITS).action is Action.ONE
    assert decide(0, [], NOW + 1, NOW, LIMITS) == Next(Action.WAIT)


def test_waits_double_up_to_a_bound_and_heed_what_the_target_asks() -> None:
    waits = [wait_ms(failures, LIMITS) for failures in range(1, 12)]
    assert waits == [1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000, 256000, 300000, 300000]
    assert wait_ms(10_000, LIMITS) == 300_000
    assert wait_ms(1, LIMITS, asked_ms=60_000) == 60_000
    assert wait_ms(9, LIMITS, asked_ms=60_000) == 256_000
    assert wait_ms(1, LIMITS, asked_ms=86_400_000) == 3_600_000
