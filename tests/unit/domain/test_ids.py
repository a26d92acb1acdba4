"""Order ids and their alias: same look as the sources ask for, same value on every run."""

from __future__ import annotations

import re
from base64 import b32encode
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain import calendar, ids

CREATED = calendar.at(2026, 1, 24, 10)
texts = st.text(min_size=1, max_size=40).filter(lambda text: "\0" not in text and text.isprintable())
times = st.integers(calendar.at(2000, 1, 1, 8), calendar.at(2100, 1, 1) - 1)


@pytest.mark.rule("ID-02")
def test_a_guid_is_db_then_the_date_of_creation_then_twelve_base_32_characters() -> None:
    guid = ids.order_guid("douyin", "6921234567890", CREATED)
    assert re.fullmatch(r"DB20260124[A-Z2-7]{12}", guid)
    assert len(guid) == 22


@pytest.mark.rule("ID-02")
def test_the_date_in_a_guid_is_shanghais() -> None:
    midnight = calendar.at(2026, 1, 25)
    assert ids.order_guid("douyin", "1", midnight - 1)[2:10] == "20260124"
    assert ids.order_guid("douyin", "1", midnight)[2:10] == "20260125"


@pytest.mark.rule("ID-02")
def test_a_guid_never_changes_between_releases() -> None:
    assert ids.order_guid("douyin", "6921234567890", CREATED) == "DB20260124X7D6DWTWJ7YO"


@pytest.mark.rule("ID-01")
def test_the_border_between_channel_and_number_counts() -> None:
    assert ids.pair_hash("ab", "c") != ids.pair_hash("a", "bc")
    assert ids.pair_hash("1", "1") != ids.pair_hash("", "11")


@pytest.mark.rule("ID-02")
@given(channel=texts, order_no=texts)
def test_the_hash_of_a_pair_is_the_first_60_bits_in_base_32(channel: str, order_no: str) -> None:
    name = channel.encode()
    digest = sha256(b"%d:%b%b" % (len(name), name, order_no.encode())).digest()
    assert ids.pair_hash(channel, order_no) == b32encode(digest)[:12].decode()


@pytest.mark.rule("ID-02")
@given(channel=texts, order_no=texts, at=times)
def test_a_guid_is_recognised_and_names_its_pair(channel: str, order_no: str, at: int) -> None:
    guid = ids.order_guid(channel, order_no, at)
    assert ids.is_guid(guid)
    assert ids.names(guid, channel, order_no)
    assert not ids.names(guid, channel, order_no + "x")


@pytest.mark.rule("ID-07")
@given(channel=texts, order_no=texts, at=times)
def test_an_alias_has_eighteen_characters_and_leads_back_to_its_guid(channel: str, order_no: str, at: int) -> None:
    guid = ids.order_guid(channel, order_no, at)
    alias = ids.alias18(guid)
    assert len(alias) == 18
    assert ids.guid_of_alias(alias) == guid


@pytest.mark.rule("ID-07")
@pytest.mark.parametrize(
    "text", ["", "DB20260124008872", "DB2026012400887200", "XBAJJQX7D6DWTWJ7YO", "DB7777X7D6DWTWJ7YO"]
)
def test_other_numbers_are_not_taken_for_an_alias(text: str) -> None:
    assert ids.guid_of_alias(text) is None


@pytest.mark.rule("ID-07")
@pytest.mark.parametrize("value", ["A" * 17, "A" * 19, ""])
def test_a_code_of_another_length_is_refused_never_cut(value: str) -> None:
    with pytest.raises(ValueError, match="18 characters is demanded"):
        ids.checked_alias(value)
    assert ids.checked_alias("A" * 18) == "A" * 18


@pytest.mark.parametrize(
    "text",
    [
        "DB20260230AAAAAAAAAAAA",
        "DB19991231AAAAAAAAAAAA",
        "DB21000101AAAAAAAAAAAA",
        "DB20260124aaaaaaaaaaaa",
        "DB2026０124AAAAAAAAAAAA",
    ],
)
def test_what_only_looks_like_a_guid_is_none(text: str) -> None:
    assert not ids.is_guid(text)
    with pytest.raises(ValueError, match="not an order_guid"):
        ids.alias18(text)


def test_a_row_key_leads_back_to_its_code() -> None:
    for code in (("order_no", "dou/yin", "1/2"), ("waybill_no", "", "ZTO 1")):
        assert ids.code_of_row(ids.row_key(code)) == code
