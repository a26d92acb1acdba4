"""How hard a test tries: a common run has to be over in minutes, `make soak` (OMS_SOAK=1) takes its time."""

from __future__ import annotations

import os
from typing import Final

SOAK: Final = os.environ.get("OMS_SOAK") == "1"
SHARE: Final = 4


def tries(most: int) -> int:
    """So many in a long run, a quarter of them in a common one."""
    return most if SOAK else most // SHARE
