"""Logs: never a person, never a secret."""

from __future__ import annotations

import io
import logging

import pytest

from streams.logs import RedactingFormatter, redact


@pytest.mark.parametrize(
    "text",
    [
        '{"receiver": "张三", "sku": "A"}',
        "{'address': {'province': '浙江', 'street': '张三路 1'}, 'sku': 'A'}",
        '"phone": "张三 010-1234"',
        "receiver=张三, sku=A",
        'raw: "{\\"name\\": \\"张三\\"}"',
    ],
)
def test_personal_fields_lose_their_value(text: str) -> None:
    assert "张三" not in redact(text)


def test_mobile_numbers_go_and_order_numbers_stay() -> None:
    assert redact("call 13912345678 or +86 13912345678") == "call *** or ***"
    assert redact("order 6921234567890 at 127.0.0.1:9092, offset 139123456789") == (
        "order 6921234567890 at 127.0.0.1:9092, offset 139123456789"
    )


def test_a_traceback_is_redacted_too() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingFormatter())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    try:
        raise ValueError({"phone": "13912345678", "n": 5})
    except ValueError:
        logger.exception("failed")
    assert "13912345678" not in stream.getvalue()
    assert "'n': 5" in stream.getvalue()
