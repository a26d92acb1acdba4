"""DQ-11: a hash per protected field, compared at each hop."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.protected.seal import CHANGED, GONE, NEW, altered, digest, finding, how, seal
from streams.domain.protected.settings import Protected, ProtectedError
from streams.domain.rules import data

PATHS = ("tax_no", "invoice.tax_no", "lines.*.tax_code", "amount_minor")
RECORD: dict[str, Any] = {
    "tax_no": "0123456789",
    "invoice": {"tax_no": "0987", "title": "Shop"},
    "lines": [{"tax_code": "010"}, {"sku": "BAG"}, {"tax_code": None}],
    "amount_minor": 100,
}
VALUES = st.one_of(st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False), st.none())


@pytest.mark.rule("DQ-11", "TAX-10")
def test_a_record_that_is_as_it_came_in_passes_the_hop() -> None:
    sealed = seal(RECORD, PATHS)
    assert {*sealed} == {"tax_no", "invoice.tax_no", "lines.0.tax_code", "amount_minor"}
    assert altered(sealed, {**RECORD, "note": "anything else may change"}, PATHS) == []


@pytest.mark.rule("DQ-11", "TAX-10")
@pytest.mark.parametrize(
    ("after", "word"),
    [
        ("123456789", "leading zeros removed"),
        ("0123456789 ", "is another text"),
        (123456789, "is of another type"),
        ("0123456780", "is another text"),
    ],
)
def test_a_tax_number_that_a_step_altered_is_found_and_the_step_hinted_at(after: Any, word: str) -> None:
    [found] = altered(seal(RECORD, PATHS), {**RECORD, "tax_no": after}, PATHS)
    assert (found.field, found.how, found.before, found.after) == (
        "tax_no",
        CHANGED,
        digest("0123456789"),
        digest(after),
    )
    assert how("0123456789", after) == word


@pytest.mark.rule("DQ-11")
def test_a_field_that_is_lost_or_made_up_is_altered_too() -> None:
    sealed = seal(RECORD, PATHS)
    later = {name: value for name, value in RECORD.items() if name != "amount_minor"}
    later["lines"] = [{"tax_code": "010"}, {"tax_code": "020"}]
    later["invoice"] = "text"
    found = [(one.field, one.how) for one in altered(sealed, later, PATHS)]
    assert found == [("amount_minor", GONE), ("invoice.tax_no", GONE), ("lines.1.tax_code", NEW)]


@pytest.mark.rule("DQ-11")
def test_what_is_told_names_the_field_and_no_value() -> None:
    fact = {"topic": "orders", "source": "shop", "event_id": "e1", "event_time": 5, "channel": "shop"}
    changes = altered(seal(RECORD, PATHS), {**RECORD, "tax_no": "123456789"}, PATHS)
    topic, key, said = finding(changes, "identity", fact)
    assert (topic, key) == ("alert-facts", "DQ-11/identity/tax_no")
    assert said["title"] == "protected_field_altered"
    assert said["last_event"] == "orders/shop/e1"
    assert "123456789" not in str(said)


@given(VALUES, VALUES)
def test_two_values_have_one_hash_only_if_they_are_the_same(one: Any, two: Any) -> None:
    assert (digest(one) == digest(two)) == (repr(one) == repr(two))


@pytest.mark.rule("DQ-11")
def test_which_fields_are_protected_is_data() -> None:
    rules = data.protected()
    assert rules.seal("couriers", {"tax_no": "1"}) == {}
    fact = {"topic": "payments", "amount_minor": 100, "currency": "CNY"}
    sealed = {**fact, "seal": rules.seal("payments", fact)}
    assert rules.altered(sealed) == []
    assert [one.field for one in rules.altered({**sealed, "amount_minor": 101})] == ["amount_minor"]
    assert rules.altered(fact) == []  # one that was sealed by nobody


@pytest.mark.rule("DQ-11")
@pytest.mark.parametrize("paths", [[""], ["a..b"], ["a", "a"], [7], None])
def test_a_list_that_cannot_be_is_refused_by_name(paths: Any) -> None:
    document = {"fields": {"orders": paths}, "canary": {"confirmations": 2, "first_per_1000": 50, "at_least_ms": 1}}
    with pytest.raises(ProtectedError, match="protected fields"):
        Protected.parse({**document, "cleaning": []})
