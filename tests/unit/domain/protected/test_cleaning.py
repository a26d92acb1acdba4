"""DQ-11: a change of what is done to a protected field takes two confirmations and goes out by stages."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.protected.cleaning import clean
from streams.domain.protected.settings import Protected, ProtectedError

DAY = 86_400_000
FIRST, SECOND = "2026-02-01T00:00:00+08:00", "2026-02-02T00:00:00+08:00"
BEGIN = 1_769_875_200_000
STAGES = [{"from": FIRST, "per_1000": 50}, {"from": SECOND, "per_1000": 1000}]
STRIP: dict[str, Any] = {
    "topic": "orders",
    "field": "tax_no",
    "step": "strip",
    "asked_by": "li",
    "confirmed_by": ["wang", "zhao"],
    "stages": STAGES,
}


def rules(*changes: dict[str, Any]) -> Protected:
    canary = {"confirmations": 2, "first_per_1000": 50, "at_least_ms": DAY}
    return Protected.parse({"fields": {"orders": ["tax_no"]}, "canary": canary, "cleaning": list(changes)})


@pytest.mark.rule("DQ-11")
@pytest.mark.parametrize(
    "wrong",
    [
        {"confirmed_by": ["wang"]},
        {"confirmed_by": ["wang", "wang"]},
        {"confirmed_by": ["wang", "li"]},
        {"asked_by": " "},
        {"stages": []},
        {"stages": [{"from": FIRST, "per_1000": 51}]},
        {"stages": [{"from": FIRST, "per_1000": 50}, {"from": "2026-02-01T23:59:59.999+08:00", "per_1000": 1000}]},
        {"stages": [{"from": FIRST, "per_1000": 50}, {"from": SECOND, "per_1000": 50}]},
        {"stages": [{"from": FIRST, "per_1000": 50}, {"from": SECOND, "per_1000": 1001}]},
        {"stages": [{"from": "2026-02-01", "per_1000": 50}]},
        {"step": "remove_zeros"},
    ],
)
def test_a_change_of_a_protected_field_that_nobody_confirmed_or_tried_is_refused(wrong: dict[str, Any]) -> None:
    assert rules(STRIP).changes["orders"]
    with pytest.raises(ProtectedError, match=r"tax_no|stage"):
        rules({**STRIP, **wrong})


@pytest.mark.rule("DQ-11")
def test_the_canary_cleans_its_share_of_the_orders_then_all() -> None:
    changes = rules(STRIP).changes["orders"]

    def cleaned(at: int) -> set[int]:
        return {n for n in range(2000) if clean(changes, {"tax_no": " 012 "}, f"order-{n}", at)[1]}

    before, canary, whole = cleaned(BEGIN - 1), cleaned(BEGIN), cleaned(BEGIN + DAY)
    assert before == set()
    assert 60 < len(canary) < 140
    assert canary < whole == {*range(2000)}
    assert cleaned(BEGIN + DAY - 1) == canary


@pytest.mark.rule("DQ-11")
def test_what_was_cleaned_is_told_by_its_hashes() -> None:
    changes = rules(STRIP).changes["orders"]
    new, [done] = clean(changes, {"tax_no": " 012 ", "city": " x "}, "o", BEGIN + DAY)
    assert new == {"tax_no": "012", "city": " x "}
    assert (done.field, done.step) == ("tax_no", "strip")
    assert done.before != done.after
    assert clean(changes, {"tax_no": "012"}, "o", BEGIN + DAY) == ({"tax_no": "012"}, [])


@pytest.mark.rule("DQ-11")
def test_a_field_that_is_not_protected_is_cleaned_without_ado() -> None:
    changes = rules({"topic": "orders", "field": "note", "step": "squeeze"}).changes["orders"]
    assert clean(changes, {"note": " a  b "}, "o", 0)[0] == {"note": "a b"}
