"""LOG-07: what a courier's back-office holds about us, against what we run: exit addresses and callback.

    whitelist      addresses and networks that may call the courier; absent: not looked at
    callback       where the courier tells us of scans; absent: not looked at, "" for none
    exit_ips       the addresses that we call from            expected_callback   where we listen
    retired_domains   domains that nobody listens at any more, beside those of the settings; with all below them

No network is needed: somebody (a person, a job that reads the back-office) says what is held there, in an event of kind
`reference_set` or the file of `oms couriers check`. Findings name no address.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import ip_address, ip_network
from typing import Any, Final

from .calls import EMPTY, Row
from .settings import Settings
from .watch import ALERTS, Send

INTERFACE: Final = "interface"
"""`do` of the message; its other fields stand above, with `at`, ms."""
FIELDS: Final = ("whitelist", "callback", "exit_ips", "expected_callback", "retired_domains")


def findings(held: Mapping[str, Any], retired: Iterable[str]) -> list[str]:
    """What is wrong, in words; nothing if all is well. Addresses and URLs must be well-formed (see `wrong`)."""
    found = []
    whitelist, ours = held.get("whitelist"), held.get("exit_ips") or ()
    if whitelist is not None:
        networks = [ip_network(entry, strict=False) for entry in whitelist]
        outside = sum(not any(ip_address(ip) in network for network in networks) for ip in ours)
        if outside:
            found.append(f"{outside} of {len(ours)} exit addresses are not in its whitelist")
    callback = held.get("callback")
    if callback == "":
        found.append("it has no callback URL")
    elif callback is not None:
        host, expected = _host(callback), held.get("expected_callback")
        gone = [name for name in (*retired, *(held.get("retired_domains") or ())) if _within(host, name)]
        if gone:
            found.append(f"its callback goes to {host}, of the retired domain {max(gone, key=len)}")
        elif expected and _parts(callback) != _parts(expected):
            found.append(f"its callback goes to {host}, and we listen at {_host(expected)} (or another path)")
    return found


def wrong(field: str, value: Any) -> str | None:
    """Why the value of a field cannot be used, or None."""
    if field in ("whitelist", "exit_ips"):
        if type(value) is not list or not all(type(entry) is str for entry in value):
            return "is not a list of addresses"
        try:
            for entry in value:
                ip_network(entry, strict=False) if field == "whitelist" else ip_address(entry)
        except ValueError:
            return "has an entry that is no address"
        return None
    if field == "retired_domains":
        good = type(value) is list and all(type(entry) is str and entry for entry in value)
        return None if good else "is not a list of domains"
    if type(value) is not str or len(value) > 2048:
        return "is not a URL"
    return None if value == "" or _URL.fullmatch(value) else "is not a URL"


def step(row: Row | None, courier: str, said: Mapping[str, Any], settings: Settings) -> tuple[Row, list[Send]]:
    """The courier's row after a report of its back-office, and the alert; a report older than the last says nothing."""
    old: Row = {**EMPTY, **(row or {})}
    at: int = said["at"]
    if at < old.get("checked", at):
        return old, []
    found = findings(said, settings.retired_domains)
    new, key = {**old, "checked": at, "wrong": bool(found)}, f"LOG-07/{courier}/interface"
    if found:
        detail = f"back-office of {courier}: {'; '.join(found)}"
        alert = {"do": "open", "rule": "LOG-07", "title": "courier interface", "detail": detail, "at": at}
        return new, [(ALERTS, key, {**alert, "source": courier, "advice": ADVICE})]
    closing = {"do": "close", "rule": "LOG-07", "at": at}
    return new, [(ALERTS, key, closing)] if old.get("wrong") else []


ADVICE: Final = (
    "Correct whitelist and callback in the courier's back-office; until then its answers or callbacks are lost."
)


_URL: Final = re.compile(
    r"(https?)://(?:[^/?#@\s]*@)?([^/?#@:\s\[\]]+|\[[0-9a-f:.]+\])(:\d+)?(/[^?#\s]*)?(\?\S*)?", re.I
)


def _parts(url: str) -> tuple[str, str, str | None, str]:
    """Scheme, host, port and path; who calls is known by no more."""
    found = _URL.fullmatch(url)
    assert found is not None
    return found[1].lower(), found[2].lower(), found[3], (found[4] or "").rstrip("/")


def _host(url: str) -> str:
    return _parts(url)[1]


def _within(host: str, domain: str) -> bool:
    domain = domain.lower().strip(".")
    return host == domain or host.endswith(f".{domain}")
