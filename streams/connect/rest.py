"""The Connect worker's REST interface: the few calls that are needed here."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import urllib3

from streams.errors import OmsError

TIMEOUT_S: Final = 30.0
_PAUSE_S: Final = 0.25


class ConnectError(OmsError):
    """Connect refuses, in one line."""


class ConnectAwayError(ConnectError):
    """Nothing answers there."""


class Rest:
    """Connect at `url`. A request that comes while the workers are dividing the tasks among them is sent again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(TIMEOUT_S))

    def ready(self) -> bool:
        """Whether it answers, having read its own topics and joined its group."""
        try:
            self._ask("GET", "/connectors", patience_s=0)
        except ConnectError:
            return False
        return True

    def names(self) -> list[str]:
        found: list[str] = self._ask("GET", "/connectors")
        return found

    def statuses(self) -> dict[str, Any]:
        """Connector -> {connector: {state, ...}, tasks: [{id, state, trace}]}."""
        return {name: entry["status"] for name, entry in self._ask("GET", "/connectors?expand=status").items()}

    def config(self, name: str) -> dict[str, str] | None:
        """A connector's configuration; None if there is no such connector."""
        found: dict[str, str] | None = self._ask("GET", f"/connectors/{quote(name)}/config", absent=True)
        return found

    def put(self, name: str, config: Mapping[str, str]) -> None:
        """Make the connector, or give it another configuration."""
        self._ask("PUT", f"/connectors/{quote(name)}/config", config)

    def restart_failed(self, name: str) -> None:
        """Start the tasks, and the connector, that have failed."""
        self._ask("POST", f"/connectors/{quote(name)}/restart?includeTasks=true&onlyFailed=true")

    def _ask(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, absent: bool = False,
        patience_s: float = TIMEOUT_S,
    ) -> Any:  # fmt: skip
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        deadline = time.monotonic() + patience_s
        while True:
            try:
                answer = self._pool.request(method, self.url + path, body=data, headers=headers)
            except urllib3.exceptions.HTTPError as error:
                raise ConnectAwayError(f"no Connect worker at {self.url} ({type(error).__name__})") from None
            if not _rebalances(answer.status, answer.data) or time.monotonic() > deadline:
                break
            time.sleep(_PAUSE_S)
        if answer.status == 404 and absent:
            return None
        if answer.status >= 400:
            raise ConnectError(f"Connect answers {answer.status} to {method} {path}: {_message(answer.data)}")
        try:
            return json.loads(answer.data) if answer.data else None
        except ValueError:
            raise ConnectError(f"{self.url} answers {method} {path} with no JSON: is it a Connect worker?") from None


def _rebalances(status: int, body: bytes) -> bool:
    """Whether the workers are dividing the tasks: mostly that is a 409, in some calls a 500 that says so."""
    return status == 409 or (status == 500 and b"rebalance is expected" in body)


def _message(body: bytes) -> str:
    try:
        return " ".join(str(json.loads(body)["message"]).split())[:500]
    except (ValueError, KeyError, TypeError):
        return "no reason given"
