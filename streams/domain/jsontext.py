"""JSON that people and other systems write into a text field (`value` of an `ops` event), where anything may stand."""

from __future__ import annotations

import json
from typing import Any


def parsed(text: str) -> Any:
    """What the text says. ValueError for what is no JSON, is nested too deep, or holds a lone surrogate, which JSON can
    escape and nothing that is sent on can be written with."""
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    except ValueError:
        raise ValueError("not JSON") from None
    if "\\u" in text and _is_broken(found):
        raise ValueError("not valid Unicode")
    return found


def _is_broken(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except (UnicodeEncodeError, RecursionError):
        return True
    return False
