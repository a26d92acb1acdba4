"""What each kind of HTTP target is sent, and whether its answer means that it took it. Nothing here sends.

Robots answer 200 to nearly everything and say in the body whether they took the message: `errcode` 0 (DingTalk, WeCom),
`code` or `StatusCode` 0 (Feishu).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from string import Template
from typing import Any, Final
from urllib.parse import urlencode, urlsplit, urlunsplit

from streams.domain.notify.plan import CLOSING
from streams.domain.notify.text import Message, fit
from streams.notify.outbox import Waiting
from streams.notify.settings import Target, shown

TOO_FAST: Final = frozenset({130101, 130102, 410100, 45009, 9499, 11232, 90033})
"""Codes by which DingTalk, WeCom and Feishu say that a robot sends too much."""
TOO_FAST_MS: Final = 60_000
REFUSED: Final = frozenset({430101, 430102, 430103, 430104, 40058, 44004, 45002})
"""Codes by which DingTalk and WeCom refuse a message for what it says (a link, a word, its length), as a 4xx does: the
next one may pass. Any other is taken for the state of the robot or its settings."""
NOT_THERE: Final = frozenset({401, 403, 404, 407, 408, 425, 429})
"""With 5xx: it is the target's or its settings' state, not what the message says; the next message would fare alike."""

_LAST_MS: Final = 253_402_300_799_000
_OPEN_MS: Final = 10 * 365 * 86_400_000
"""How far ahead an open alert ends for Alertmanager, until its closing is told."""


@dataclass(frozen=True, slots=True)
class Request:
    """A POST of JSON. `url` and `headers` may hold secrets and are not shown."""

    url: str = field(repr=False)
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sending ended. `took`: it is done. Else `why`, in words without secrets; `refused`: this message, for what
    it says; otherwise the target as a whole, which then waits, `after_ms` if it asked for so long."""

    took: bool
    why: str = ""
    refused: bool = False
    after_ms: int | None = None


TOOK: Final = Outcome(True)


def requests_of(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    """The requests of one message: one, or one for each number of a gateway. `about`: the alerts in it; empty for a
    trial."""
    return _MAKERS[target.kind](target, message, about, now)


def mark(about: Sequence[Waiting]) -> str:
    """An id of a message that stays the same when it is sent again."""
    text = json.dumps([each.name for each in about], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def dingtalk_sign(secret: str, now: int) -> str:
    """base64(HMAC-SHA256(key=secret, "TIMESTAMP NEWLINE SECRET")), timestamp in ms."""
    return _signed(secret, f"{now}\n{secret}")


def feishu_sign(secret: str, seconds: int) -> str:
    """base64(HMAC-SHA256(key="TIMESTAMP NEWLINE SECRET", "")), timestamp in seconds."""
    return _signed(f"{seconds}\n{secret}", "")


def _signed(key: str, text: str) -> str:
    return base64.b64encode(hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()).decode()


def _with(url: str, **query: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(query))))))


def _dingtalk(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    options = target.options
    query = {"access_token": shown(options["token"])}
    if "secret" in options:
        query |= {"timestamp": str(now), "sign": dingtalk_sign(shown(options["secret"]), now)}
    body = {"msgtype": "text", "text": {"content": fit(message.text, target.most_bytes)}}
    return [Request(_with(shown(options["url"]), **query), body)]


def _wecom(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    body = {"msgtype": "text", "text": {"content": fit(message.text, target.most_bytes)}}
    return [Request(_with(shown(target.options["url"]), key=shown(target.options["token"])), body)]


def _feishu(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    options = target.options
    # A text with <at user_id="all"> in it would call everybody.
    text = fit(message.text, target.most_bytes).replace("<", "＜")
    body: dict[str, Any] = {"msg_type": "text", "content": {"text": text}}
    if "secret" in options:
        seconds = now // 1000
        body = {"timestamp": str(seconds), "sign": feishu_sign(shown(options["secret"]), seconds), **body}
    return [Request(f"{shown(options['url']).rstrip('/')}/{shown(options['token'])}", body)]


def _gateway(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    """SMS and voice: `body` with $to, $text and $id filled in, one request for each number."""
    options = target.options
    body = options.get("body") or {"to": "$to", "text": "$text", "id": "$id"}
    text, number = fit(message.text, target.most_bytes), mark(about)
    return [
        Request(
            shown(options["url"]),
            _filled(body, {"to": to, "text": text, "title": message.title, "id": number}),
            _headers(target, f"{number}-{place}"),
        )
        for place, to in enumerate(options["to"])
    ]


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, words) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, words) for each in value]
    return Template(value).safe_substitute(words) if isinstance(value, str) else getattr(value, "reveal", value)


def _ticket(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    number = mark(about)
    alerts = [{**each.alert, "stage": each.stage} for each in about]
    body = {"id": number, "title": message.title, "text": fit(message.text, target.most_bytes), "alerts": alerts}
    action = "close" if about and all(each.stage == CLOSING for each in about) else "open"
    return [Request(shown(target.options["url"]), {**body, "action": action}, _headers(target, number))]


def _alertmanager(target: Target, message: Message, about: Sequence[Waiting], now: int) -> list[Request]:
    """Alertmanager's API v2: a list of alerts. One that comes again with the same labels is the same alert there, so
    only what never changes is a label. One without an end is over there once nobody has sent it again for five minutes;
    each stage is sent once here, so an open alert ends far ahead, and its closing says when it did."""
    body = []
    for each in about:
        alert = each.alert
        labels = {"alertname": alert.get("rule") or "oms", "alert_key": each.key, "severity": alert.get("severity")}
        notes = {"summary": alert.get("title"), "description": alert.get("detail"), "advice": alert.get("advice")}
        notes |= {name: alert.get(name) for name in ("channel", "source")}
        entry: dict[str, Any] = {
            "labels": {name: value for name, value in labels.items() if value},
            "annotations": {name: value for name, value in notes.items() if value},
            "startsAt": _rfc3339(alert.get("opened_at") or each.created_at),
        }
        ends = alert.get("closed_at") or now if each.stage == CLOSING else now + _OPEN_MS
        entry["endsAt"] = _rfc3339(ends)
        body.append(entry)
    if not about:
        body = [{"labels": {"alertname": "oms-test"}, "annotations": {"summary": message.title}}]
    return [Request(shown(target.options["url"]), body, _headers(target, mark(about)))]


def _rfc3339(at: int) -> str:
    """A time that no calendar has becomes the nearest that it has."""
    return datetime.fromtimestamp(min(max(at, 0), _LAST_MS) / 1000, UTC).isoformat(timespec="milliseconds")


def _headers(target: Target, number: str) -> dict[str, str]:
    own = {name: shown(value) for name, value in target.options.get("headers", {}).items()}
    return {"Idempotency-Key": number, **own}


_MAKERS: Final = {
    "dingtalk": _dingtalk,
    "wecom": _wecom,
    "feishu": _feishu,
    "sms": _gateway,
    "voice": _gateway,
    "ticket": _ticket,
    "alertmanager": _alertmanager,
}


def outcome_of(target: Target, status: int, retry_after: str | None, body: bytes) -> Outcome:
    """What an answer means."""
    if status == 429 or status >= 500 or status in NOT_THERE:
        return Outcome(False, f"HTTP {status}", after_ms=_seconds(retry_after))
    if not 200 <= status < 300:
        return Outcome(False, f"HTTP {status}", refused=status >= 400)
    wanted = _TAKEN.get(target.kind) or target.options.get("ok")
    if not wanted:
        return TOOK
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return Outcome(False, "an answer that is not JSON")
    if not isinstance(answer, dict):
        return Outcome(False, "an answer that is no JSON object")
    if target.kind in _TAKEN:
        code = next((answer[name] for name in _TAKEN[target.kind] if name in answer), None)
        if code == 0:
            return TOOK
        too_fast = isinstance(code, int) and code in TOO_FAST
        refused = isinstance(code, int) and code in REFUSED
        return Outcome(False, f"code {code!r:.40}", refused, TOO_FAST_MS if too_fast else None)
    missed = [name for name, value in target.options["ok"].items() if str(answer.get(name)) != shown(value)]
    return TOOK if not missed else Outcome(False, f"answered another {missed[0]}", refused=True)


_TAKEN: Final[Mapping[str, tuple[str, ...]]] = {
    "dingtalk": ("errcode",),
    "wecom": ("errcode",),
    "feishu": ("code", "StatusCode"),
}


def _seconds(text: str | None) -> int | None:
    """Retry-After in whole seconds, as ms; a date is not heeded."""
    return int(text) * 1000 if text and text.strip().isdecimal() and len(text) < 10 else None
