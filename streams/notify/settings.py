"""The file of targets (`OMS_NOTIFY_CONFIG`, YAML), checked as a whole. A secret stands in the environment or a file:

    default: ops-mail                       # takes what no other target takes; may be left out
    quiet_minutes: 30                       # OTH-05
    targets:
      stock-group:
        kind: dingtalk                      # dingtalk, wecom, feishu, email, sms, voice, ticket, alertmanager
        token: {env: STOCK_GROUP_TOKEN}       # or {file: PATH}
        secret: {env: STOCK_GROUP_SECRET}
        for: [dingtalk]                     # words of an alert's `targets`; left out: the kind; "*": all
        rules: [INV-11]                     # filters, each may be left out: rules, recipients, severities
        per_minute: 20                      # and timeout_s: 10
        prefix: 【OMS】                      # before every message: a robot's keyword, an SMS signature

The options of each kind stand in `KINDS`. An error names the target and the option, never a value that may be secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from streams.config import ConfigError, Secret
from streams.domain.alert import SEVERITIES
from streams.domain.notify.pace import Limits
from streams.domain.notify.routing import ALL, Route

VARIABLE: Final = "OMS_NOTIFY_CONFIG"
_SMTP_TLS: Final = ("starttls", "ssl", "none")


@dataclass(frozen=True, slots=True)
class Kind:
    """What a kind of target needs and may have, how many bytes a text of it may be, and its own limit a minute."""

    needs: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    bytes: int = 4_000
    per_minute: int = 60


KINDS: Final[Mapping[str, Kind]] = {
    "dingtalk": Kind(("token",), ("secret", "url"), 15_000, 20),
    "wecom": Kind(("token",), ("url",), 2_000, 20),
    "feishu": Kind(("token",), ("secret", "url"), 15_000, 100),
    "email": Kind(("server", "from", "to"), ("user", "password", "tls", "ca_file"), 100_000, 30),
    "sms": Kind(("url", "to"), ("headers", "body", "ok"), 400, 20),
    "voice": Kind(("url", "to"), ("headers", "body", "ok"), 300, 6),
    "ticket": Kind(("url",), ("headers", "ok"), 8_000, 60),
    "alertmanager": Kind(("url",), ("headers",), 8_000, 300),
}
"""`token`: access_token (dingtalk), key (wecom), the last part of the hook's address (feishu). `server`: host:port.
`to`: addresses or numbers, as text or list. `body`: the JSON of an sms or voice gateway, with $to, $text and $id in it;
`ok`: fields that its answer must have. `headers`, `url`, `user`, `to` and `body`'s values may be secrets."""

_URLS: Final = {
    "dingtalk": "https://oapi.dingtalk.com/robot/send",
    "wecom": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send",
    "feishu": "https://open.feishu.cn/open-apis/bot/v2/hook",
}
_COMMON: Final = ("kind", "for", "rules", "recipients", "severities", "per_minute", "timeout_s", "prefix")


@dataclass(frozen=True, slots=True)
class Target:
    """One way to people. `options` as in the file, secrets read; `url`, `token` and `secret` are Secrets."""

    name: str
    kind: str
    route: Route
    limits: Limits
    timeout_s: float
    prefix: str
    options: Mapping[str, Any] = field(repr=False)

    @property
    def most_bytes(self) -> int:
        return KINDS[self.kind].bytes


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """All targets by name; `default` is one of them or None."""

    targets: Mapping[str, Target]
    default: str | None
    quiet_ms: int

    @property
    def routes(self) -> tuple[Route, ...]:
        return tuple(target.route for target in self.targets.values())


def from_env(environ: Mapping[str, str] | None = None) -> NotifySettings:
    """The settings of the file that OMS_NOTIFY_CONFIG names. ConfigError."""
    env = os.environ if environ is None else environ
    path = env.get(VARIABLE)
    if not path:
        raise ConfigError(f"{VARIABLE}: names no file of targets; see the README, Alerts that reach people")
    return load(Path(path), env)


def load(path: Path, environ: Mapping[str, str]) -> NotifySettings:
    """The settings of a file. ConfigError with one line."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{VARIABLE}: cannot read {path}: {getattr(error, 'strerror', 'not UTF-8 text')}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise ConfigError(f"{VARIABLE}: {path} is not YAML" + (f", line {mark.line + 1}" if mark else "")) from None
    return parse(document, environ)


def parse(document: Any, environ: Mapping[str, str]) -> NotifySettings:
    """The settings of a document. ConfigError."""
    if not isinstance(document, dict) or not isinstance(document.get("targets"), dict) or not document["targets"]:
        raise ConfigError(f"{VARIABLE}: the file has no `targets`")
    unknown = sorted(str(name) for name in document.keys() - {"targets", "default", "quiet_minutes"})
    if unknown:
        raise ConfigError(f"{VARIABLE}: no such entry: {', '.join(unknown)}")
    targets = {str(name): _target(str(name), entry, environ) for name, entry in document["targets"].items()}
    default = document.get("default")
    if default is not None and (not isinstance(default, str) or default not in targets):
        raise ConfigError(f"{VARIABLE}: default: no target of that name")
    quiet = document.get("quiet_minutes", 30)
    if type(quiet) is not int or not 0 <= quiet <= 1440:
        raise ConfigError(f"{VARIABLE}: quiet_minutes: must be a whole number from 0 to 1440")
    return NotifySettings(targets, default, quiet * 60_000)


def _target(name: str, entry: Any, environ: Mapping[str, str]) -> Target:
    def wrong(option: str, what: str) -> ConfigError:
        return ConfigError(f"{VARIABLE}: target {name}: {option}: {what}")

    if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str) or entry["kind"] not in KINDS:
        raise wrong("kind", f"must be one of {', '.join(KINDS)}")
    kind = KINDS[entry["kind"]]
    unknown = sorted(str(option) for option in entry.keys() - {*_COMMON, *kind.needs, *kind.may})
    if unknown:
        raise wrong(unknown[0], f"a {entry['kind']} has no such option")
    for option in kind.needs:
        if not entry.get(option):
            raise wrong(option, "is missing")
    per_minute = entry.get("per_minute", kind.per_minute)
    if type(per_minute) is not int or not 1 <= per_minute <= 10_000:
        raise wrong("per_minute", "must be a whole number from 1 to 10000")
    timeout_s = entry.get("timeout_s", 10)
    if type(timeout_s) not in (int, float) or not 0 < timeout_s <= 120:
        raise wrong("timeout_s", "must be seconds, at most 120")
    prefix = entry.get("prefix", "")
    if not isinstance(prefix, str) or len(prefix) > 100 or not (prefix.isprintable() or not prefix):
        raise wrong("prefix", "must be a text of at most 100 characters in one line")
    words = {key: _words(entry.get(key), key, wrong) for key in ("for", "rules", "recipients", "severities")}
    if not words["severities"] <= {*SEVERITIES}:
        raise wrong("severities", f"must be of {', '.join(SEVERITIES)}")
    serves = words["for"] or frozenset({ALL if entry["kind"] == "alertmanager" else entry["kind"]})
    route = Route(name, serves, words["rules"], words["recipients"], words["severities"])
    given = {option: entry[option] for option in (*kind.needs, *kind.may) if entry.get(option) is not None}
    options = {option: _read(value, option, environ, wrong) for option, value in given.items()}
    checked = _checked(entry["kind"], options, wrong)
    return Target(name, entry["kind"], route, Limits(per_minute), float(timeout_s), prefix, checked)


Wrong = Callable[[str, str], ConfigError]


def _words(value: Any, option: str, wrong: Wrong) -> frozenset[str]:
    if value is None:
        return frozenset()
    words = value if isinstance(value, list) else [value]
    if not words or any(not isinstance(word, str) for word in words):
        raise wrong(option, "must be a word or a list of words")
    return frozenset(words)


def _read(value: Any, option: str, environ: Mapping[str, str], wrong: Wrong) -> Any:
    """The value with every {env: NAME} and {file: PATH} in it read."""
    if isinstance(value, list):
        return [_read(each, option, environ, wrong) for each in value]
    if not isinstance(value, dict):
        return value
    if value.keys() == {"env"}:
        text = environ.get(str(value["env"]))
        if not text:
            raise wrong(option, f"the variable {value['env']} is not set")
        return Secret(text)
    if value.keys() == {"file"}:
        try:
            return Secret(Path(str(value["file"])).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "not UTF-8 text"
            raise wrong(option, f"cannot read {value['file']}: {why}") from None
    return {str(key): _read(each, option, environ, wrong) for key, each in value.items()}


def _checked(kind: str, options: dict[str, Any], wrong: Wrong) -> dict[str, Any]:
    for option in ("token", "secret", "password"):
        if option in options and not isinstance(options[option], Secret):
            raise wrong(option, "must be {env: NAME} or {file: PATH}: a secret does not belong into this file")
    if kind in _URLS or "url" in options:
        url = options.setdefault("url", _URLS.get(kind))
        if not shown(url).startswith(("http://", "https://")):
            raise wrong("url", "must begin with https:// or http://")
        try:
            urlsplit(shown(url))
        except ValueError:  # its words may quote a secret
            raise wrong("url", "is no URL") from None
    if "server" in options and not _host_port(options["server"]):
        raise wrong("server", "must be HOST:PORT")
    if options.get("tls", "starttls") not in _SMTP_TLS:
        raise wrong("tls", f"must be one of {', '.join(_SMTP_TLS)}")
    if ("user" in options) != ("password" in options):
        raise wrong("password", "user and password belong together")
    for option in ("headers", "body", "ok"):
        if option in options and not isinstance(options[option], dict):
            raise wrong(option, "must be a mapping")
    to = options.get("to")
    if to is not None:
        options["to"] = [
            part.strip() for each in (to if isinstance(to, list) else [to]) for part in shown(each).split(",")
        ]
        if not all(options["to"]):
            raise wrong("to", "names nobody")
    return options


def shown(value: Any) -> str:
    """A text option in the clear, secret or not, for the one who sends."""
    return value.reveal if isinstance(value, Secret) else str(value)


def _host_port(text: Any) -> bool:
    host, _, port = shown(text).rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536
