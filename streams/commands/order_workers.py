"""Orders from the running workers: each answers over its web server for the partitions it owns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

from streams.commands.common import note
from streams.config import Settings
from streams.datadir import web_files
from streams.errors import BrokerUnreachableError, OmsError

REQUEST_S = 5.0
RESTORING = 503
"""What a worker answers while partitions it is given are on their way to it."""
NOBODY: Final = -1
"""In place of a status: nothing listens at the address. 0: no answer for another reason."""
# The workers on this machine answer without the broker: it is not waited for as long as by commands that need it.
BROKER_S = 3.0
_CANNOT_TELL = "away, or given partitions that it has not restored yet; ask again"
# How far back the audit log is searched for an order, per partition, and for how many orders at once.
AUDIT_RECORDS, AUDIT_ORDERS = 50_000, 5
_CLIENT_ID = re.compile(r"oms-(?P<worker>[A-Za-z0-9._-]+)@(?P<host>[^:@/]+|\[[^\]]+\]):(?P<port>[0-9]+)")
# A worker that listens on all its addresses: the broker knows one.
_ANY_HOST = ("0.0.0.0", "[::]")
# Workers are asked directly, whatever proxy the environment names for other traffic.
_opener = build_opener(ProxyHandler({}))


def find(settings: Settings, code: str) -> tuple[list[dict[str, Any]], str]:
    """The orders with that code or of that customer, and where was looked. Raises OmsError if no worker answers."""
    near = unique(str(entry["url"]) for entry in web_files(settings.data_root))
    found = _ask(near, code)
    if not found.complete:
        members: list[str] = []
        with suppress(BrokerUnreachableError):
            members = member_urls(settings)
        if far := [url for url in members if url not in near]:
            # All of them: one may know whose code it is, another have the order, its money or the customer's others.
            found = _ask([*near, *far], code)
        # While one is still a member of its groups its partitions are nobody else's: it is named as one that may know.
        if gone := [url for url in found.deserted if url not in members]:
            found.away = [url for url in found.away if url not in gone]
            note(f"oms: passed over {', '.join(gone)}: no worker listens there, one that was killed left it")
    with suppress(OmsError):  # what the topics add is welcome, not needed
        _add_topics(settings, found.orders[:AUDIT_ORDERS])
    if found.waiting and not found.orders:
        raise OmsError(_waiting(code, found.waiting))
    if not found.answered:
        raise OmsError(
            f"no running worker answers (looked in {settings.data_root} and at the groups of {settings.broker}): "
            "start one with `oms worker`, or look in a replay with --from DIR"
        )
    if found.orders and not found.of_code and found.away:
        note(f"oms: {', '.join(found.away)} may know of more orders: {_CANNOT_TELL}")
    looked = f"{found.answered} running worker(s)"
    if found.away:
        looked += f"; {', '.join(found.away)} may know: {_CANNOT_TELL}"
    return found.orders, looked


@dataclass(slots=True)
class Found:
    """Answers of workers: orders, what is known of a code without an order, how many workers answered, and the URLs of
    those that cannot tell now, and among them those where nobody listens. `of_code`: of one of its codes, not of its
    customer; `complete`: nobody else can know more."""

    orders: list[dict[str, Any]]
    waiting: dict[str, Any] | None
    answered: int
    away: list[str]
    deserted: list[str]
    of_code: bool
    complete: bool


def _waiting(code: str, row: dict[str, Any]) -> str:
    from streams.commands.order_view import clock

    if held := row.get("held"):
        since = clock(held.get("since"))
        why = f"its intake is suspended since {since}" if held["suspended"] else "its limit is reached"
        return f"order {code} is number {held['position']} in the queue of channel {held['channel']}: {why}"
    parked = row.get("parked")
    count = parked if isinstance(parked, int) else len(parked or [])
    since = clock(row.get("since"))
    return f"{row.get('kind')} {code} is known, its order is not: {count} event(s) wait for it since {since}"


def _add_topics(settings: Settings, orders: list[dict[str, Any]]) -> None:
    """The audit log of each order, and the alerts that other workers keep. Raises OmsError."""
    from streams import topology
    from streams.clients import require_broker
    from streams.commands.tail import read_to_end

    require_broker(settings, BROKER_S)
    registry = topology.load(registry=settings.registry)
    audit, alert = registry.decoder("audit-log"), registry.decoder("alerts")
    by_guid = {order["state"]["order_guid"]: order for order in orders}
    for guid, order in by_guid.items():
        rows = read_to_end(settings, ["audit-log"], key=guid, newest=AUDIT_RECORDS)
        order["audit"] = [audit(row.value() or b"") for row in rows if row.key() == guid.encode()]
    if by_guid:
        newest = {row.key(): row.value() for row in read_to_end(settings, ["alerts"])}
        for order in by_guid.values():
            order["alerts"] = []
        for value in newest.values():
            row = alert(value) if value is not None else {}
            if row.get("order_guid") in by_guid:
                by_guid[row["order_guid"]]["alerts"].append(row)


def member_urls(settings: Settings) -> list[str]:
    """Web servers of the workers, from the client ids `oms-WORKER@HOST:PORT` of the consumer groups' members."""
    from confluent_kafka import KafkaException

    from streams import catalogue
    from streams.clients import admin, require_broker
    from streams.engine.agent import consumer_group

    require_broker(settings, BROKER_S)
    names = [consumer_group(agent) for agent in catalogue.choose(None)]
    client = admin(settings)  # kept: its futures die with it
    urls: dict[str, None] = {}
    try:
        for future in client.describe_consumer_groups(names, request_timeout=REQUEST_S).values():
            for member in future.result().members:
                match = _CLIENT_ID.match(member.client_id or "")
                if match:
                    host = match["host"] if match["host"] not in _ANY_HOST else str(member.host).removeprefix("/")
                    urls[f"http://{host}:{match['port']}"] = None
    except KafkaException:
        pass  # a broker that cannot describe groups: the local workers have been asked already
    return list(urls)


def _ask(urls: list[str], code: str) -> Found:
    """Ask all of them: first whose code it is, then for the order."""
    statuses: dict[str, set[int]] = {url: set() for url in urls}
    if not urls:
        return Found([], None, 0, [], [], of_code=False, complete=False)
    with ThreadPoolExecutor(max_workers=min(16, len(urls))) as pool:

        def everywhere(path: str) -> list[Any]:
            """The answers that are something."""
            answers = [*pool.map(lambda url: ask(url, path), urls)]
            for url, (status, _) in zip(urls, answers, strict=True):
                statuses[url].add(status)
            return [body for _, body in answers if body]

        answers = everywhere(f"/api/codes/{quote(code, safe='')}")
        guids = unique(body["guid"] for body in answers if body.get("guid"))
        of_code = bool(guids)
        if not guids:
            customers = everywhere(f"/api/customers/{quote(code, safe='')}")
            guids = unique(guid for body in customers for guid in body.get("orders", []))
        orders = []
        for guid in guids:
            found = everywhere(f"/api/orders/{quote(guid, safe='')}")[:1]
            if found:  # the ledger's rows may be with another worker
                found[0]["money"] = next(iter(everywhere(f"/api/money/{quote(guid, safe='')}")), None)
            orders += found
    # A customer's orders are with whoever has them: only of a code is there one answer.
    complete = of_code and len(orders) == len(guids) and all(order["money"] for order in orders)
    answered = sum(bool(seen & {200, 404, RESTORING}) for seen in statuses.values())
    away = [url for url, seen in statuses.items() if seen - {200, 404}]
    deserted = [url for url in away if statuses[url] == {NOBODY}]
    waiting = _most(body for body in answers if not body.get("guid"))
    return Found(orders, waiting, answered, away, deserted, of_code, complete)


def _most(waiting: Iterable[dict[str, Any] | None]) -> dict[str, Any] | None:
    """What tells most of a code without an order: that the order itself is held back, else what waits for it."""
    rows = [row for row in waiting if row]
    return next((row for row in rows if "held" in row), rows[0] if rows else None)


def unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def get(url: str, path: str) -> tuple[bool, Any]:
    """(whether the worker answered, the JSON body of a 200 or None)."""
    status, body = ask(url, path)
    return status in (200, 404), body


def ask(url: str, path: str) -> tuple[int, Any]:
    """(the status of the answer, 0 or NOBODY without one, and the JSON body of a 200 or None)."""
    try:
        with _opener.open(url.rstrip("/") + path, timeout=REQUEST_S) as response:
            return 200, json.load(response)
    except HTTPError as error:
        error.close()
        return error.code, None
    except URLError as error:
        return NOBODY if isinstance(error.reason, ConnectionRefusedError) else 0, None
    except (OSError, ValueError):
        return 0, None
