"""Order ids and the codes that lead to them (ID-01, ID-02, ID-07).

    order_guid   DB 20260124 ABCDEFGHIJKL      22 characters: prefix, Shanghai date of creation, 60 bits of a hash
    alias18      DB ASTR     ABCDEFGHIJKL      18 characters: prefix, days since 2000-01-01 in base 32, the same 60 bits

Both are functions of (channel, order_no, day), so a replay or a second delivery yields the same ids. The alias holds
all that the guid holds: neither needs a table to find the other, and no two guids share an alias.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final

from . import calendar

ORDER_GUID: Final = "order_guid"
ORDER_NO: Final = "order_no"
PLATFORM_TXN_NO: Final = "platform_txn_no"
INTERNAL_NO: Final = "internal_no"
WAYBILL_NO: Final = "waybill_no"
PACKAGE_ID: Final = "package_id"
REQUEST_ID: Final = "request_id"
"""Of a manual command: no code of the order, but an approval may name nothing else."""

# Codes that may be paired with an order by any event that names both. An order number and a guid name an order by
# themselves.
PAIRED_KINDS: Final = (PLATFORM_TXN_NO, INTERNAL_NO, WAYBILL_NO, PACKAGE_ID)
KINDS: Final = (ORDER_GUID, ORDER_NO, *PAIRED_KINDS)

Code = tuple[str, str, str]
"""(kind, scope, value); scope is the channel for an order_no and "" for every other kind."""

GUID_LENGTH: Final = 22
ALIAS_LENGTH: Final = 18
_PREFIX: Final = "DB"
_BASE32: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE32_SET: Final = frozenset(_BASE32)
_PAIRS: Final = tuple(first + second for first in _BASE32 for second in _BASE32)
"""Ten bits as two characters."""
_DAY_ZERO: Final = calendar.number_of(2000, 1, 1)
_LAST_DAY: Final = calendar.number_of(2099, 12, 31) - _DAY_ZERO


def pair_hash(channel: str, order_no: str) -> str:
    """12 upper-case base-32 characters (60 bits) of the pair. The channel's length goes in first, so no two pairs are
    written alike.
    """
    name = channel.encode()
    bits = int.from_bytes(sha256(b"%d:%b%b" % (len(name), name, order_no.encode())).digest()[:8], "big") >> 4
    return "".join([_PAIRS[bits >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)])


def order_guid(channel: str, order_no: str, created_at: int) -> str:
    """The guid of an order (ID-02). `created_at`: UTC milliseconds of its creation."""
    return _PREFIX + calendar.compact_date(created_at) + pair_hash(channel, order_no)


def is_guid(text: str) -> bool:
    """Whether `text` is written as an order_guid of the years 2000 to 2099."""
    return _day_of(text) is not None


def names(guid: str, channel: str, order_no: str) -> bool:
    """Whether `guid` is a guid of this pair, whatever its day."""
    return guid[10:] == pair_hash(channel, order_no)


def _day_of(guid: str) -> int | None:
    """Days since 2000-01-01; None of what is not written as a guid."""
    if len(guid) != GUID_LENGTH or not guid.startswith(_PREFIX) or not _BASE32_SET.issuperset(guid[10:]):
        return None
    return _day(guid[2:10])


@lru_cache(maxsize=4096)
def _day(digits: str) -> int | None:
    if not (digits.isascii() and digits.isdigit()):
        return None
    try:
        day = calendar.number_of(int(digits[:4]), int(digits[4:6]), int(digits[6:])) - _DAY_ZERO
    except ValueError:
        return None
    return day if 0 <= day <= _LAST_DAY else None


def alias18(guid: str) -> str:
    """The alias of a guid, for systems that demand 18 characters (ID-07). ValueError if `guid` is none."""
    if _day_of(guid) is None:
        raise ValueError("not an order_guid")
    return _PREFIX + _day_letters(guid[2:10]) + guid[10:]


@lru_cache(maxsize=4096)
def _day_letters(digits: str) -> str:
    """A day of guids as aliases have it: most orders of a moment are of one day."""
    day = _day(digits)
    assert day is not None
    return _PAIRS[day >> 10 & 1023] + _PAIRS[day & 1023]


def guid_of_alias(text: str) -> str | None:
    """The guid behind an alias, or None if `text` is not written as one."""
    if len(text) != ALIAS_LENGTH or not text.startswith(_PREFIX) or not _BASE32_SET.issuperset(text[2:]):
        return None
    day = 0
    for character in text[2:6]:
        day = day * 32 + _BASE32.index(character)
    if day > _LAST_DAY:
        return None
    return _PREFIX + calendar.compact_date((day + _DAY_ZERO) * calendar.DAY_MS) + text[6:]


def checked_alias(value: str, length: int = ALIAS_LENGTH) -> str:
    """`value`, if it has the length a downstream system demands, else ValueError: never shortened (ID-07)."""
    if len(value) != length:
        raise ValueError(f"a code of {length} characters is demanded, this one has {len(value)}")
    return value


def row_key(code: Code) -> str:
    """`value NUL kind[/scope]`: a prefix scan of `value NUL` finds all readings of one bare value."""
    kind, scope, value = code
    return f"{value}\0{kind}/{scope}" if scope else f"{value}\0{kind}"


def code_of_row(key: str) -> Code:
    """The code a row key was made of."""
    value, _, rest = key.partition("\0")
    kind, _, scope = rest.partition("/")
    return kind, scope, value
