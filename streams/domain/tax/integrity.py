"""TAX-10: a tax number is text, and the same bytes from whoever typed it to the tax service.

Where a number comes in it is sealed; whoever passes it on looks whether the seal still fits: intake, orders, invoices,
the adapter, and invoices again when the service says which number it has printed. A hop that altered it is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

NUMBER: Final = "tax_number"
SEAL: Final = "tax_number_hash"
ALTERED: Final = "altered_by"
"""In the data of a buyer: the hop that handed an altered number on."""

SOURCE, INTAKE, ORDERS, SERVICE = "source", "intake", "orders", "tax service"
"""Who had the number before it was found altered: the sender, intake, orders, the service."""

ALTERED_CODE: Final = "tax_number_altered"
"""Error of the adapter: the number it was to send does not fit its seal."""

_TOKEN: Final = re.compile(r"[0-9A-Za-z]+")


def seal(number: str) -> str:
    """SHA-256 of the number's UTF-8 bytes, hexadecimal; what a shop front may send along as `tax_number_hash`."""
    return sha256(number.encode()).hexdigest()


def sealed(data: Mapping[str, Any], raw: str | None) -> dict[str, Any]:
    """The data of a buyer as intake hands it on: with a seal, and with the sender named if what it sent does not fit
    the seal of whoever typed the number, or the number in its own payload `raw`."""
    found = {name: value for name, value in data.items() if value is not None and name != ALTERED}
    number = found.get(NUMBER)
    if number is None:
        return found
    told = found.get(SEAL)
    if (told is not None and told.lower() != seal(number)) or (raw is not None and _mangled(number, raw)):
        found[ALTERED] = SOURCE
    found[SEAL] = seal(number)
    return found


def checked(data: Mapping[str, Any], hop: str) -> Mapping[str, Any]:
    """The same data, with `hop` named if it handed on another number than was sealed."""
    number = data.get(NUMBER)
    if number is None or ALTERED in data or data.get(SEAL) == seal(number):
        return data
    return {**data, ALTERED: hop}


def _mangled(number: str, raw: str) -> bool:
    """Whether the payload has the number with more or fewer zeros in front, or in other letters, and not as it is."""
    tokens, bare = set(_TOKEN.findall(raw)), _bare(number)
    return number not in tokens and any(_bare(token) == bare for token in tokens)


def _bare(number: str) -> str:
    return "".join(_TOKEN.findall(number)).lstrip("0").upper()
