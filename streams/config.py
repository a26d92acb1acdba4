"""Settings: read once from the environment, checked, frozen.

Every variable is named OMS_*. A wrong value raises `ConfigError` with one line that names the variable and the accepted
values, never the value of a secret. Options of the command line override the environment.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from streams.errors import OmsError

if TYPE_CHECKING:
    from streams.engine.codec.access import Access

T = TypeVar("T")
AuditRaw = Literal["keep", "hash", "drop"]
GroupProtocol = Literal["classic", "consumer"]
Producer = Literal["auto", "librdkafka"]
Handover = Literal["on", "off", "kept"]

DEFAULT_BROKER: Final = "127.0.0.1:9092"
MOST_PORT: Final = 65_535
_PREFIX: Final = "OMS_KAFKA_"
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_HOST_PORT: Final = re.compile(r"(\[[0-9A-Fa-f:]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")

# What the engine itself decides: a value from outside would break a guarantee or point at a second broker.
_OURS: Final = frozenset(
    {
        *("bootstrap.servers", "metadata.broker.list", "client.id", "transactional.id", "enable.idempotence"),
        *("group.id", "group.instance.id", "group.protocol", "session.timeout.ms", "partition.assignment.strategy"),
        *("enable.auto.commit", "enable.auto.offset.store", "isolation.level", "auto.offset.reset"),
    }
)
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "security.protocol": ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"),
    "sasl.mechanism": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"),
    "sasl.mechanisms": ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI"),
}
# librdkafka's own keys that end in `.file` and so are no "read this value from a file".
_FILE_KEYS: Final = frozenset(
    {"sasl.oauthbearer.assertion.private.key.file", "sasl.oauthbearer.assertion.jwt.template.file"}
)
# Everything passed through is hidden in repr and logs unless it is known to be harmless.
_SHOWN: Final = frozenset({"security.protocol", "sasl.mechanism", "sasl.mechanisms", "sasl.oauthbearer.method"})


class ConfigError(OmsError):
    """A setting that cannot be used. One line, naming the variable (or option); exit 2 if it came from an option."""

    def __init__(self, message: str, *, from_option: bool = False) -> None:
        super().__init__(message, exit_code=2 if from_option else 1)


class Secret:
    """A text that no repr, log or error shows."""

    __slots__ = ("reveal",)

    def __init__(self, value: str) -> None:
        self.reveal = value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Settings:
    """One worker's settings. `broker` is a bootstrap list `host:port[,host:port]`; times are in milliseconds.

    `data_dir` is this worker's own folder: OMS_DATA_DIR / OMS_WORKER_ID, so workers of one machine share the root.
    `kafka` holds librdkafka keys to lay under every client's configuration. `hash_salt`: what hashed personal data is
    salted with, the same for all workers; None: the package's, which everybody knows.
    """

    broker: str = DEFAULT_BROKER
    registry: Access = field(default_factory=lambda: _registry_url("file:"))
    data_dir: Path = Path("oms-data/worker")
    worker_id: str = "worker"
    web_host: str = "127.0.0.1"
    web_port: int = 0
    partitions: int = 8
    kafka: Mapping[str, str] = field(default_factory=dict)
    audit_raw: AuditRaw = "keep"
    maps_dir: Path | None = None
    hash_salt: str | None = None
    batch_size: int = 4_000
    session_timeout_ms: int = 6000
    group_protocol: GroupProtocol = "classic"
    producer: Producer = "auto"
    handover: Handover = "on"
    aside_percent: int = 20

    @property
    def data_root(self) -> Path:
        """The folder that holds the data folders of all workers of this machine."""
        return self.data_dir.parent

    def web_address(self, port: int) -> str:
        """`HOST:PORT` of the web server as a URL has it: an IPv6 address in brackets."""
        return f"[{self.web_host}]:{port}" if ":" in self.web_host else f"{self.web_host}:{port}"

    def client_config(self, **more: Any) -> dict[str, Any]:
        """librdkafka configuration of a client: broker and security of these settings, under the keys of `more`."""
        return {"bootstrap.servers": self.broker, **self.kafka, **more}

    def __repr__(self) -> str:
        kafka = {key: value if key in _SHOWN else "***" for key, value in self.kafka.items()}
        shown = {name: getattr(self, name) for name in self.__slots__}
        shown |= {"kafka": kafka, "data_dir": str(self.data_dir)}
        shown["hash_salt"] = None if self.hash_salt is None else "***"
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    __str__ = __repr__

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
        """Settings of `environ` (default: the process's), an override that is not None taking a variable's place.

        Overrides are named like the fields; `data_dir` is, like OMS_DATA_DIR, the root that holds the workers' folders.
        Raises ConfigError.
        """
        env = os.environ if environ is None else environ
        reader = _Reader(env, {name: value for name, value in overrides.items() if value is not None})
        worker_id = reader.read("worker_id", _worker_id, _default_worker_id())
        root = reader.read("data_dir", _folder, _default_data_root(env))
        settings = cls(
            broker=reader.read("broker", _broker, DEFAULT_BROKER),
            registry=_registry(reader),
            data_dir=root / worker_id,
            worker_id=worker_id,
            web_host=reader.read("web_host", _host, "127.0.0.1"),
            web_port=reader.read("web_port", _integer(0, MOST_PORT), 0),
            partitions=reader.read("partitions", _integer(1, 1000), 8),
            kafka=MappingProxyType(_kafka(env) | dict(reader.overrides.pop("kafka", {}))),
            audit_raw=reader.read("audit_raw", _choice("keep", "hash", "drop"), "keep"),
            maps_dir=reader.read("maps_dir", _folder, None),
            hash_salt=reader.read("hash_salt", _salt, None),
            batch_size=reader.read("batch_size", _integer(1, 100_000), 4_000),
            session_timeout_ms=reader.read("session_timeout_ms", _integer(1000, 1_800_000), 6000),
            group_protocol=reader.read("group_protocol", _choice("classic", "consumer"), "classic"),
            producer=reader.read("producer", _choice("auto", "librdkafka"), "auto"),
            handover=reader.read("handover", _choice("on", "off", "kept"), "on"),
            aside_percent=reader.read("aside_percent", _integer(1, 100), 20),
        )
        if reader.overrides:
            raise TypeError(f"unknown settings: {', '.join(sorted(reader.overrides))}")
        return settings


class _Reader:
    """Takes one setting from the overrides, else from the environment (or the file its *_FILE variable names)."""

    def __init__(self, env: Mapping[str, str], overrides: dict[str, Any]) -> None:
        self.env = env
        self.overrides = overrides

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        variable = f"OMS_{name.upper()}"
        option = name in self.overrides
        text = str(self.overrides.pop(name)) if option else value_of(self.env, variable)
        if text is None or text == "":
            return default
        try:
            return parse(text)
        except ValueError as error:
            shown = f"--{name.replace('_', '-')}" if option else variable
            raise ConfigError(f"{shown}: {error}", from_option=option) from None


def value_of(env: Mapping[str, str], variable: str) -> str | None:
    """The variable's text, or the content of the file named by VARIABLE_FILE (trailing line ends cut off)."""
    path = env.get(f"{variable}_FILE")
    if not path:
        return env.get(variable)
    if env.get(variable):
        raise ConfigError(f"{variable} and {variable}_FILE are both set: keep one")
    return _read_secret(f"{variable}_FILE", path)


def _read_secret(variable: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{variable}: cannot read {path}: {reason}") from None


def _kafka(env: Mapping[str, str]) -> dict[str, str]:
    """OMS_KAFKA_SASL_PASSWORD -> sasl.password and so on; OMS_KAFKA_SASL_PASSWORD_FILE reads it from a file."""
    passed: dict[str, str] = {}
    for variable in sorted(name for name in env if name.startswith(_PREFIX)):
        key = variable.removeprefix(_PREFIX).lower().replace("_", ".")
        value = env[variable]
        if key.endswith(".file") and key not in _FILE_KEYS:
            key, value = key.removesuffix(".file"), _read_secret(variable, value)
        if key in _OURS:
            raise ConfigError(
                f"{variable}: {key} is not a free choice, it belongs to the engine or to another OMS_* setting"
            )
        if key in passed:
            raise ConfigError(
                f"{variable.removesuffix('_FILE')} and {variable.removesuffix('_FILE')}_FILE are both set: keep one"
            )
        passed[key] = _kafka_value(variable, key, value)
    return passed


def _kafka_value(variable: str, key: str, value: str) -> str:
    choices = _CHOICES.get(key)
    if choices is not None:
        if value.upper() not in choices:
            raise ConfigError(f"{variable}: must be one of {', '.join(choices)}")
        return value.upper()
    if key.endswith(".location") and value != "probe" and not _exists(value):
        raise ConfigError(f"{variable}: no such file: {value[:200]}")
    return value


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a path: the file's content, say
        return False


def _broker(text: str) -> str:
    """`kafka://host:port,host:port` (scheme optional, port 9092 if left out) -> `host:port,host:port`."""
    if "@" in text:
        raise ValueError("credentials do not belong here: set OMS_KAFKA_SASL_USERNAME and OMS_KAFKA_SASL_PASSWORD")
    servers = []
    for part in text.split(","):
        server = part.strip().removeprefix("kafka://").rstrip("/")
        if ":" not in server.rpartition("]")[2]:
            server += ":9092"
        match = _HOST_PORT.fullmatch(server)
        if match is None or not 0 < int(match[2]) < 65536:
            raise ValueError("must be kafka://HOST:PORT, several brokers separated by commas")
        servers.append(server)
    return ",".join(servers)


def _registry(reader: _Reader) -> Access:
    """OMS_REGISTRY, and how it lets us in: OMS_REGISTRY_USER and so on. What does not go together is a ConfigError."""
    found = reader.read("registry", _registry_url, _registry_url("file:"))
    names = ("user", "password", "ca", "cert", "key", "key_password")
    given = {
        name: reader.read(f"registry_{name}", _pem_file if name in ("ca", "cert", "key") else str, "") for name in names
    }
    for name, needed in (("user", "password"), ("password", "user"), ("key", "cert"), ("key_password", "cert")):
        if given[name] and not given[needed]:
            raise ConfigError(f"OMS_REGISTRY_{name.upper()} is set without OMS_REGISTRY_{needed.upper()}")
    if found.user and given["user"]:
        raise ConfigError("OMS_REGISTRY has a user, and OMS_REGISTRY_USER is set: keep one")
    if ":" in given["user"]:
        raise ConfigError("OMS_REGISTRY_USER: basic auth allows no colon in it")
    return replace(found, **{name: value for name, value in given.items() if value})


def _registry_url(text: str) -> Access:
    from streams.engine.codec.access import Access  # with the engine around it, which `oms --help` does without

    if text.startswith("file:") or re.match(r"https?://[^/]", text):
        try:
            return Access.at(text.rstrip("/"))
        except ValueError:
            pass  # its words may quote a password
    raise ValueError("must be file: (the lock file of the package), file:PATH, http://... or https://...")


def _pem_file(text: str) -> str:
    """A path. It is not repeated: the *_FILE variable of a key makes this the key itself."""
    try:
        if Path(text).is_file():
            return text
    except (OSError, ValueError):  # too long for a path, say
        pass
    raise ValueError("must be the path of a PEM file")


def _worker_id(text: str) -> str:
    if _ID.fullmatch(text) is None:
        raise ValueError("must be 1 to 100 letters, digits, dots, dashes or underscores")
    return text


def _host(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:]+", text) is None:
        raise ValueError("must be a host name or an IP address")
    return text


def _folder(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:  # ~somebody who has no account here
        raise ValueError("must be a path; ~NAME needs a user of that name") from None


def _salt(text: str) -> str:
    if len(text) < 16:
        raise ValueError("must be at least 16 characters that nobody can guess")
    return text


def _integer(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,12}", text.strip()) and low <= int(text) <= high:
            return int(text)
        raise ValueError(f"must be a whole number from {low} to {high}")

    return parse


def _choice(*choices: str) -> Callable[[str], Any]:
    def parse(text: str) -> str:
        if text in choices:
            return text
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


def _default_worker_id() -> str:
    """The host's name: the same after a restart, so that a worker finds its own state and its place in the group."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname()).lstrip("._-")[:100] or "worker"


def _default_data_root(env: Mapping[str, str]) -> Path:
    state = env.get("XDG_STATE_HOME")
    return (Path(state) if state else home_dir() / ".local" / "state") / "oms"


def home_dir() -> Path:
    """The user's home directory; the root folder for one that has none, as a container's user without an account."""
    try:
        return Path.home()
    except RuntimeError:
        return Path("/")
