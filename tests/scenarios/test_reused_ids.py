"""ID-05: what orders refuse because its event id is taken is booked nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.replayed import Story

T0, DAY = 1_769_220_000_000, 86_400_000
MONEY: dict[str, Any] = {"amount_minor": 9_900, "currency": "CNY"}


@pytest.mark.rule("ID-05", "FIN-01", "FIN-04")
def test_money_under_the_id_of_a_failed_payment_is_refused_and_not_booked(tmp_path: Path) -> None:
    story = Story().created(T0)
    story.say("payments", "payment_failed", T0 + 1_000, event_id="same")
    story.say("payments", "payment_succeeded", T0 + 2_000, event_id="same", **MONEY)
    told = story.replay(tmp_path, T0 + 3 * DAY)
    assert told.states()[-1]["paid_minor"] == 0
    assert told.rows("ledger-entries") == []
    assert told.alerts("FIN-04") == []


@pytest.mark.rule("ID-05")
def test_a_failure_under_the_id_of_a_payment_takes_nothing_from_the_books(tmp_path: Path) -> None:
    story = Story().created(T0)
    story.say("payments", "payment_succeeded", T0 + 1_000, event_id="same", **MONEY)
    story.say("payments", "payment_failed", T0 + 2_000, event_id="same")
    told = story.replay(tmp_path, T0 + 60_000)
    assert told.states()[-1]["paid_minor"] == 9_900
    assert [entry["amount_minor"] for entry in told.rows("ledger-entries")] == [9_900]
