"""Orders from the running workers: each answers over its web server for the partitions it owns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import ProxyHandler, build_opener

from streams.config import Settings
from streams.datadir import web_files
from streams.errors import BrokerUnreachableError, OmsError

REQUEST_S = 5.0
_CLIENT_ID = re.compile(r"oms-(?P<worker>[A-Za-z0-9._-]+)@(?P<host>[^:@/]+|\[[^\]]+\]):(?P<port>[0-9]+)")
# Workers are asked directly, whatever proxy the environment names for other traffic.
_opener = build_opener(ProxyHandler({}))


def find(settings: Settings, code: str) -> tuple[list[dict[str, Any]], str]:
    """The orders with that code or of that customer, and where was looked. Raises OmsError if no worker answers."""
    near = [str(entry["url"]) for entry in web_files(settings.data_root)]
    orders, answered = _ask(near, code)
    if orders:
        return orders, "the running workers"
    try:
        far = [url for url in member_urls(settings) if url not in near]
    except BrokerUnreachableError:
        far = []
    orders, more = _ask(far, code)
    if not orders and not answered and not more:
        raise OmsError(
            f"no running worker answers (looked in {settings.data_root} and at the groups of {settings.broker}): "
            "start one with `oms worker`, or look in a replay with --from DIR"
        )
    return orders, f"{answered + more} running worker(s)"


def member_urls(settings: Settings) -> list[str]:
    """Web servers of the workers, from the client ids `oms-WORKER@HOST:PORT` of the consumer groups' members."""
    from confluent_kafka import KafkaException

    from streams.clients import admin, require_broker

    require_broker(settings, wait_s=5)
    client = admin(settings)
    urls: dict[str, None] = {}
    try:
        listed = client.list_consumer_groups(request_timeout=REQUEST_S).result()
        names = sorted(group.group_id for group in listed.valid if group.group_id.startswith("oms-"))
        described = client.describe_consumer_groups(names, request_timeout=REQUEST_S) if names else {}
        for future in described.values():
            for member in future.result().members:
                match = _CLIENT_ID.match(member.client_id or "")
                if match:
                    urls[f"http://{match['host']}:{match['port']}"] = None
    except KafkaException:
        pass  # a broker that cannot describe groups: the local workers have been asked already
    return list(urls)


def _ask(urls: list[str], code: str) -> tuple[list[dict[str, Any]], int]:
    """Ask all of them: first whose code it is, then for the order; (orders, number of workers that answered)."""
    if not urls:
        return [], 0
    with ThreadPoolExecutor(max_workers=min(16, len(urls))) as pool:

        def everywhere(path: str) -> list[tuple[bool, Any]]:
            return list(pool.map(lambda url: get(url, path), urls))

        answers = everywhere(f"/api/codes/{quote(code, safe='')}")
        answered = sum(reached for reached, _ in answers)
        guids = unique(body["guid"] for _, body in answers if body and body.get("guid"))
        if not guids:
            customers = everywhere(f"/api/customers/{quote(code, safe='')}")
            guids = unique(guid for _, body in customers if body for guid in body.get("orders", []))
        orders = []
        for guid in guids or [code]:
            found = [body for _, body in everywhere(f"/api/orders/{quote(guid, safe='')}") if body]
            if found:
                orders.append(found[0] if isinstance(found[0].get("state"), dict) else {"state": found[0]})
    return orders, answered


def unique(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def get(url: str, path: str) -> tuple[bool, Any]:
    """(whether the worker answered, the JSON body of a 200 or None)."""
    try:
        with _opener.open(url.rstrip("/") + path, timeout=REQUEST_S) as response:
            return True, json.load(response)
    except HTTPError as error:
        error.close()
        return error.code == 404, None
    except (URLError, OSError, ValueError):
        return False, None
