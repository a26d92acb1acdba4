"""Whom an invoice is for: numbers, seals, names, profiles, and what may be set."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from streams.agents.invoices import wrong_number as check_digit
from streams.domain import calendar
from streams.domain.inventory.references import routes
from streams.domain.rules import data
from streams.domain.rules.data import FOLDER
from streams.domain.tax import codes, integrity
from streams.domain.tax.buyer import clean, fingerprint, is_stale, resolve, wrong_number
from streams.domain.tax.settings import Settings, TaxError

SETTINGS = data.tax()
DOCUMENT = json.loads((FOLDER / "tax.json").read_text(encoding="utf-8"))
T0 = calendar.at(2026, 1, 20, 9)
USCC = "91110000600037341L"
BANK = {"bank": "招商银行", "bank_account": "6225"}
GOOD_CODE = {"kind": "tax_code", "sku": "S", "tax_code": "1" * 19, "exempt": False, "rate_per_10000": 1300}
FIRM: dict[str, Any] = {"type": "enterprise", "name": "云帆", "tax_number": USCC, **BANK}


def buyer(asked: dict[str, Any], customer: dict[str, Any] | None = None, at: int = T0) -> Any:
    sealed = integrity.sealed(asked, None)
    return resolve(sealed, customer, "tmall", at, SETTINGS, check_digit)


def profile(at: int = T0 - 1, **fields: Any) -> dict[str, Any]:
    return {"profile": {**integrity.sealed(FIRM, None), "version": 3, "at": at, **fields}}


@pytest.mark.rule("TAX-10")
@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (USCC, None),
        ("012345678901234", None),
        ("01234567890123456789", None),
        ("N2330106012345678T", None),
        ("N2330106012345678L", "is no unified social credit code: InvalidChecksum"),
        ("911100006000373O1L", "is no unified social credit code: InvalidFormat"),
        ("9111000A600037341L", "is no unified social credit code: InvalidFormat"),
        ("011100006000373411", "is no unified social credit code: InvalidChecksum"),
        ("11010519491231002X", None),
        ("110105199001010023", "is no unified social credit code: InvalidChecksum"),
        ("110105194913310021", "is no unified social credit code: InvalidChecksum"),
        ("110105294912310028", "is no unified social credit code: InvalidChecksum"),
        ("11010519491231002x", "holds something else than digits and capital letters"),
        ("91110000600037341", "has 17 characters"),
        ("9111000060003734１L", "holds something else than digits and capital letters"),
        ("91110000600037341l", "holds something else than digits and capital letters"),
        ("9111000060003734-L", "holds something else than digits and capital letters"),
    ],
)
def test_a_number_is_read_and_never_changed(number: str, fault: str | None) -> None:
    assert wrong_number(number, SETTINGS, check_digit) == fault
    if fault is None:
        assert buyer({**FIRM, "tax_number": number}).buyer["tax_number"] == number


@pytest.mark.rule("TAX-10")
@pytest.mark.parametrize(
    ("raw", "altered"),
    [
        (None, False),
        ("nothing of it", False),
        ('{"n":"123456789012345"}', False),
        ('{"n":"0123456789012345"}', True),
        ('{"n":"00123456789012345", "m":"123456789012345"}', False),
        ("n=0123456789012345&", True),
    ],
)
def test_the_senders_own_payload_says_whether_zeros_were_cut(raw: str | None, altered: bool) -> None:
    found = integrity.sealed({"tax_number": "123456789012345"}, raw)
    assert (integrity.ALTERED in found) == altered


@pytest.mark.rule("TAX-10")
def test_each_hop_sees_what_the_one_before_did() -> None:
    sealed = integrity.sealed({"tax_number": USCC, "name": None}, None)
    assert sealed == {"tax_number": USCC, "tax_number_hash": integrity.seal(USCC)}
    assert integrity.checked(sealed, "orders") is sealed
    cut = {**sealed, "tax_number": USCC[1:]}
    assert integrity.checked(cut, "orders")["altered_by"] == "orders"
    assert integrity.checked(integrity.checked(cut, "orders"), "tax service")["altered_by"] == "orders", "the first"
    typed = {"tax_number": USCC, "tax_number_hash": integrity.seal(USCC).upper()}
    assert integrity.ALTERED not in integrity.sealed(typed, None)
    assert integrity.sealed({**typed, "tax_number": USCC[1:]}, None)["altered_by"] == "source"
    assert integrity.sealed({"name": "x", "altered_by": "me"}, None) == {"name": "x"}, "nobody says it of himself"


@pytest.mark.rule("TAX-04")
@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("杭州云帆（中国）有限公司", "杭州云帆（中国）有限公司"),
        ("A&B <C>\u200b\x07\n D", "AB C D"),
        ("  龘  龘 ", "龘 龘"),
        ("<>&", ""),
    ],
)
def test_names_lose_control_characters_and_reserved_symbols(name: str, cleaned: str) -> None:
    assert clean(name, SETTINGS.reserved) == cleaned


@pytest.mark.rule("TAX-04", "TAX-03")
def test_a_name_of_which_nothing_is_left_is_refused() -> None:
    assert buyer({**FIRM, "name": "<>"}).reason == "invoice of a buyer of type enterprise without name"
    assert buyer({"type": "person"}).buyer["name"] == "个人"


@pytest.mark.rule("TAX-01")
@pytest.mark.parametrize("left_out", ["name", "tax_number", "licence_no", "bank", "bank_account", "address", "phone"])
def test_a_special_invoice_needs_everything(left_out: str) -> None:
    whole = {**FIRM, "kind": "专票", "licence_no": "L", "address": "杭州", "phone": "0571", "tax_number": "0" * 15}
    assert buyer(whole).buyer["kind"] == "special"
    found = buyer({**whole, left_out: None})
    assert (found.buyer, found.rule, found.reason) == (None, "TAX-01", f"special invoice without {left_out}")
    assert buyer({**whole, "type": "person"}).reason == "a person cannot have a special invoice"


@pytest.mark.rule("TAX-03")
@pytest.mark.parametrize(
    ("asked", "type_"),
    [({"type": "个人"}, "person"), ({"type": "企业", **FIRM}, "enterprise"), ({}, "person"), (FIRM, "enterprise")],
)
def test_the_types_of_the_order_side_are_read(asked: dict[str, Any], type_: str) -> None:
    assert buyer(asked).buyer["type"] == type_
    assert buyer({**asked, "type": "robot"}).buyer is None
    assert buyer({**asked, "kind": "paper"}).buyer is None


@pytest.mark.rule("TAX-02")
def test_the_profile_comes_first_and_another_buyer_stands_alone() -> None:
    assert buyer({}, profile()).buyer["name"] == "云帆", "of its type, too"
    assert buyer({"bank": "工商银行", "phone": "1"}, profile()).buyer["bank"] == BANK["bank"]
    assert buyer({"bank": "工商银行", "phone": "1"}, profile()).buyer["phone"] == "1"
    other = buyer({**FIRM, "name": "别家", "bank": "工商银行"}, profile())
    assert (other.buyer["name"], other.buyer["bank"], other.notes) == ("别家", "工商银行", [])
    assert buyer({"type": "person", "name": "云帆"}, profile()).buyer.get("tax_number") is None
    assert buyer({}, profile()).buyer["tax_number_hash"] == integrity.seal(USCC)


@pytest.mark.rule("TAX-14")
@pytest.mark.parametrize(
    ("last", "stale"),
    [((2025, 1, 20), False), ((2025, 1, 19, 23, 59), True), ((2024, 2, 29), True), ((2026, 1, 1), False)],
)
def test_twelve_months_without_use(last: tuple[int, ...], stale: bool) -> None:
    used = calendar.at(*last)
    assert is_stale(profile(calendar.at(2023, 1, 1)) | {"used": used}, T0, SETTINGS) == stale
    assert is_stale(profile(used), T0, SETTINGS) == stale


@pytest.mark.rule("TAX-12")
def test_only_a_person_with_past_headings_is_warned_of() -> None:
    asked = {"type": "person", "name": "李雷"}
    assert not buyer(asked).unusual
    assert not buyer(asked, {"headings": ["李雷"]}).unusual
    assert buyer(asked, {"headings": ["韩梅梅"]}).unusual
    assert not buyer(FIRM, {"headings": ["韩梅梅"]}).unusual


@pytest.mark.rule("TAX-07")
def test_profiles_are_told_apart_by_all_that_is_printed() -> None:
    found = buyer(FIRM).buyer
    assert fingerprint(found) == fingerprint({**found, "tax_number_hash": "x"})
    for name in ("name", "tax_number", "bank", "kind", "place"):
        assert fingerprint({**found, name: "other"}) != fingerprint(found)


@pytest.mark.rule("TAX-05")
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (None, "SKU S has no tax code"),
        ((False, 1300), None),
        ((True, 0), None),
        ((True, 900), "SKU S is tax-free at a rate of 9 %"),
        ((False, 0), "SKU S is taxable at a rate of 0 %"),
        ((False, 1250), "SKU S has a rate of 12.50 %, which there is not"),
    ],
)
def test_what_is_set_of_a_sku_must_not_contradict_itself(value: Any, fault: str | None) -> None:
    said = None if value is None else {"tax_code": "1" * 19, "exempt": value[0], "rate": value[1]}
    assert codes.mismatch("sku/S", said, SETTINGS) == fault
    assert codes.mismatch("place/P", None, SETTINGS) is None


@pytest.mark.rule("TAX-05")
def test_the_class_of_the_code_has_the_last_word() -> None:
    classes = {"1": {"exempt": False, "rates": [1300]}, "101": {"exempt": True, "rates": [0]}}
    settings = Settings.parse({**DOCUMENT, "classes": classes}, 5)
    free, taxed = {"tax_code": "101" + "0" * 16}, {"tax_code": "102" + "0" * 16}
    assert codes.mismatch("sku/S", {**free, "exempt": True, "rate": 0}, settings) is None
    assert "taxable, its tax code" in str(codes.mismatch("sku/S", {**free, "exempt": False, "rate": 1300}, settings))
    assert "has others" in str(codes.mismatch("sku/S", {**taxed, "exempt": False, "rate": 900}, settings))


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        (
            {"kind": "tax_code", "sku": "S", "tax_code": "1" * 18, "exempt": False, "rate_per_10000": 1300},
            "is not 19 digits",
        ),
        (
            {"kind": "tax_code", "sku": "S", "tax_code": "1" * 19, "exempt": 0, "rate_per_10000": 1300},
            "is not true or false",
        ),
        (
            {"kind": "tax_code", "sku": "S", "tax_code": "1" * 19, "exempt": False, "rate_per_10000": 13.0},
            "ten-thousandths",
        ),
        ({"kind": "invoice_cap", "place": "杭州", "cap_minor": 0}, "is not an amount above 0"),
        ({"kind": "invoice_profile", "customer_id": "C", "type": "robot", "name": "x"}, "is not one of"),
        ({"kind": "invoice_profile", "customer_id": "C", "type": "person"}, "value has no name"),
        ({"kind": "contract", "contract_no": "K", "buyer_name": "x", "amount_minor": 1}, "names no order"),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_field(value: dict[str, Any], fault: str) -> None:
    fact = {"event_type": "reference_set", "event_time": T0, "source": "s", "value": json.dumps(value)}
    found = routes(fact)
    assert isinstance(found, str)
    assert fault in found


@pytest.mark.parametrize(
    "change",
    [
        {"sla_ms": "2 h"},
        {"cap_minor": 0},
        {"day": 6},
        {"hour": 24},
        {"margin_ms": 7_200_000},
        {"required": {"person": ["name"]}},
        {"required": {**DOCUMENT["required"], "person": ["shoe size"]}},
        {"classes": {"1": {"exempt": True}}},
        {"unheard_of": 1},
        {"memory_days": 135},
    ],
)
def test_numbers_that_make_no_sense_are_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(TaxError, match="invoices: "):
        Settings.parse({**DOCUMENT, **change}, 5)
    Settings.parse({**DOCUMENT, "memory_days": 136}, 5)
    assert replace(SETTINGS) == Settings.parse(DOCUMENT, SETTINGS.rounding_minor)


@pytest.mark.rule("TAX-03")
def test_the_number_of_a_person_is_no_business_licence() -> None:
    person = {"type": "person", "name": "李雷", "tax_number": "11010519491231002X"}
    found = buyer(person).buyer
    assert (found["tax_number"], found.get("licence_no")) == ("11010519491231002X", None)
    assert buyer(FIRM).buyer["licence_no"] == USCC
