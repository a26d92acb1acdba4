"""DQ-08: payloads that cannot be read or used, in a row, whoever meets them: one alert per interface they came by.

The interface is the topic, or the file of a replay, and not one of its partitions: a sender that keys nothing has its
records spread over all of them, and the third that cannot be read in a row would be the first of its partition. Of a
record that could be read and breaks the contract it is known who sent it: then it is that source on the topic.
"""

from __future__ import annotations

from typing import Any, Final

RULE: Final = "DQ-08"
UNDECODABLE, REFUSED = "undecodable records in a row", "refused records in a row"
_DETAIL: Final = 300

Said = tuple[str, dict[str, Any]]
"""Alert key and finding (see alert)."""


def failed(interface: str, place: str, error: str, at: int, title: str = UNDECODABLE) -> Said:
    """One more payload that could not be read or used, at event time `at` (ms). `place`: where it stands."""
    finding = {
        "do": "failed",
        "rule": RULE,
        "title": title,
        "detail": f"records of {interface}, {place}: {error}"[:_DETAIL],
        "source": interface,
        "at": at,
    }
    return f"{RULE}/{interface}", finding


def recovered(interface: str, at: int) -> Said:
    """A payload that could be used: the row is broken. An alert stays until somebody deals with it."""
    return f"{RULE}/{interface}", {"do": "recovered", "at": at}
