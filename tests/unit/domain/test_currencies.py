"""Currencies by their names, and their minor units."""

from __future__ import annotations

import pytest

from streams.commands.order_view import money
from streams.domain.currencies import code_of


@pytest.mark.rule("FIN-07")
@pytest.mark.parametrize(
    ("told", "code"), [("RMB", "CNY"), (" 人民币 ", "CNY"), ("￥", "CNY"), ("usd", "USD"), ("Jpy", "JPY"), ("豆", "豆")]
)
def test_a_currency_has_one_code_by_whatever_name(told: str, code: str) -> None:
    assert code_of(told) == code


@pytest.mark.rule("FIN-13")
@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [
        (9900, "CNY", "99.00 CNY"),
        (-5, "USD", "-0.05 USD"),
        (9900, "JPY", "9900 JPY"),
        (-9900, "XOF", "-9900 XOF"),
        (12345, "KWD", "12.345 KWD"),
        (5, "BHD", "0.005 BHD"),
        (5, None, "0.05"),
        (None, "CNY", "-"),
    ],
)
def test_an_amount_is_shown_with_the_decimals_of_its_currency(minor: int | None, currency: str, text: str) -> None:
    assert money(minor, currency) == text
