"""`oms doctor`: checks what a worker needs, one line each, with a remedy for what is wrong."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.commands import doctor_security
from streams.commands.common import Broker, Json, console, emit_json, settings_of
from streams.errors import OmsError

if TYPE_CHECKING:
    from streams.config import Settings

Status = Literal["OK", "WARN", "FAIL"]
_KNOWN = frozenset(
    f"OMS_{name}"
    for name in (
        *(
            "BROKER",
            "REGISTRY",
            "DATA_DIR",
            "WORKER_ID",
            "WEB_PORT",
            "WEB_HOST",
            "PARTITIONS",
            "AUDIT_RAW",
            "MAPS_DIR",
            "BATCH_SIZE",
            "NOTIFY_CONFIG",
            "CACHE_DIR",
            "HASH_SALT",
            "TAX_SERVICE",
            "TAX_TOKEN",
        ),
        *(f"REGISTRY_{name}" for name in ("USER", "PASSWORD", "CA", "CERT", "KEY", "KEY_PASSWORD")),
        *(f"CONNECT_{name}" for name in ("DB", "DB_PASSWORD", "URL", "JAVA")),
        *("SESSION_TIMEOUT_MS", "GROUP_PROTOCOL", "PRODUCER", "HANDOVER", "ASIDE_PERCENT", "NATIVE"),
        *("SUPERVISOR_PID", "REFERENCE", "SOAK", "CHAOS"),
    )
)
MIB = 1 << 20
LITTLE_SPACE, TOO_LITTLE_SPACE = 2048 * MIB, 256 * MIB
SKEW_MS = 2000


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, how it is, and what to do if it is not well."""

    name: str
    status: Status
    detail: str
    remedy: str = ""


def doctor(
    broker: Broker = None,
    wait: Annotated[float, typer.Option("--wait", min=0.1, help="Seconds to wait for the broker.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Check settings, security, broker, topics, schemas, registry, clocks and disk; exit 1 if something fails."""
    checks = list(examine(settings_of(broker=broker), wait))
    if as_json:
        emit_json([asdict(check) for check in checks])
    else:
        out = console()
        colours = {"OK": "green", "WARN": "yellow", "FAIL": "red"}
        for check in checks:
            remedy = f"; {check.remedy}" if check.remedy else ""
            out.print(f"[{colours[check.status]}]{check.status:<4}[/] {check.name}: ", end="")
            out.print(check.detail + remedy, markup=False)
    if any(check.status == "FAIL" for check in checks):
        raise typer.Exit(1)


def examine(settings: Settings, wait_s: float) -> Iterator[Check]:
    """All checks in order; what needs the broker is left out when none answers."""
    yield _settings(settings)
    yield _security(settings)
    if os.environ.get("OMS_CONNECT_DB"):
        yield from _guarded("connect", lambda: Check("connect", "OK", doctor_security.connect(settings)))
    yield from _guarded("data folder", lambda: _disk(settings))
    yield from _guarded("schemas and registry", lambda: _registry(settings), "see OMS_REGISTRY")
    reached = False
    for check in _guarded("broker", lambda: _broker(settings, wait_s), "start it, or set OMS_BROKER"):
        reached = check.status == "OK"
        yield check
    if reached:
        yield from _guarded("topics", lambda: _topics(settings), "run `oms topics apply`")
        yield from _guarded("clocks", lambda: _clocks(settings))
    yield _codec()
    if os.environ.get("OMS_NOTIFY_CONFIG"):
        yield from _guarded("alert targets", _targets)
    if settings.maps_dir is not None:
        yield from _guarded("status maps", lambda: _maps(settings))
    yield _tools()


def _guarded(name: str, check: Callable[[], Check], remedy: str = "") -> Iterator[Check]:
    from streams.engine.codec.errors import RegistryError

    try:
        yield check()
    except (OmsError, RegistryError) as error:
        yield Check(
            name, "FAIL", " ".join(str(error).split()), remedy if remedy.split(",")[0] not in str(error) else ""
        )


def _settings(settings: Settings) -> Check:
    strange = sorted(
        name
        for name in os.environ
        if name.startswith("OMS_") and not name.startswith("OMS_KAFKA_") and name.removesuffix("_FILE") not in _KNOWN
    )
    if strange:
        return Check("settings", "WARN", f"no such setting: {', '.join(strange)}", "check the spelling")
    return Check("settings", "OK", f"worker {settings.worker_id}, {settings.partitions} partitions")


def _security(settings: Settings) -> Check:
    found = "; ".join(doctor_security.mismatches(settings))
    return Check("security", "WARN" if found else "OK", found or doctor_security.summary(settings))


def _disk(settings: Settings) -> Check:
    from streams.datadir import DataDirError, lock_data_dir

    folder = settings.data_dir
    note = ""
    try:
        lock_data_dir(settings).release()
    except DataDirError as error:
        if "in use" not in str(error):
            raise
        note = " (a worker is using it)"
    free = shutil.disk_usage(folder).free
    detail = f"{folder} can be written, {free // MIB:,} MiB free{note}"
    if free < TOO_LITTLE_SPACE:
        return Check("data folder", "FAIL", detail, "free some space, or set OMS_DATA_DIR")
    return Check(
        "data folder",
        "OK" if free >= LITTLE_SPACE else "WARN",
        detail,
        "" if free >= LITTLE_SPACE else "free some space",
    )


def _registry(settings: Settings) -> Check:
    """Every schema of the package has an id, and that id gives this schema back."""
    from streams import topology

    registry = topology.load(registry=settings.registry)
    ids = {}
    for name, topic in registry.topics.items():
        if topic.subject is not None:
            schema = registry.schema(name)
            ids[name] = registry.registry.id_of(topic.subject, schema)
            known = registry.registry.by_id(ids[name])
            if known.get("name") != schema.get("name"):
                return Check(
                    "schemas and registry", "FAIL", f"id {ids[name]} of {name} is {known.get('name')} in the registry"
                )
    where = "the package's lock file" if settings.registry.url == "file:" else settings.registry.url
    return Check("schemas and registry", "OK", f"{len(ids)} schemas known to {where}")


def _broker(settings: Settings, wait_s: float) -> Check:
    from streams.clients import require_broker

    started = time.monotonic()
    metadata = require_broker(settings, wait_s)
    took = (time.monotonic() - started) * 1000
    return Check("broker", "OK", f"{settings.broker} answered in {took:.0f} ms, {len(metadata.brokers)} broker(s)")


def _topics(settings: Settings) -> Check:
    from streams.commands.topics import differences

    different = differences(settings)
    found = [str(difference) for difference in different]
    if found:
        shown = "; ".join(found[:5]) + (f"; and {len(found) - 5} more" if len(found) > 5 else "")
        mendable = any(difference.mendable for difference in different)
        remedy = "run `oms topics apply`" if mendable else "set OMS_PARTITIONS to what the broker has"
        return Check("topics", "FAIL", shown, remedy)
    return Check("topics", "OK", "all there, as topics.yaml says")


def _clocks(settings: Settings) -> Check:
    """The broker stamps records as they arrive: a newest stamp ahead of this machine's clock shows a skew."""
    from confluent_kafka import KafkaException, TopicPartition
    from confluent_kafka.admin import OffsetSpec

    from streams import topology
    from streams.clients import admin, require_broker

    known = require_broker(settings).topics
    names = [name for name in topology.load().topics if name in known]
    places = {
        TopicPartition(name, number): OffsetSpec.max_timestamp() for name in names for number in known[name].partitions
    }
    newest = -1
    client = admin(settings)  # kept by name: futures of a client that is gone never resolve
    try:
        for future in client.list_offsets(places, request_timeout=10).values() if places else ():
            newest = max(newest, future.result(timeout=15).timestamp)
    except TimeoutError:
        return Check("clocks", "WARN", "not compared: the broker did not tell its newest times within 15 s")
    except KafkaException as error:
        return Check("clocks", "OK", f"not compared: the broker does not tell times ({error.args[0].name()})")
    if newest < 0:
        return Check("clocks", "OK", "not compared: no records yet, or the broker does not tell their times")
    ahead = newest - time.time_ns() // 1_000_000
    if ahead > SKEW_MS:
        return Check("clocks", "WARN", f"the broker's clock is {ahead} ms ahead of this machine's", "run NTP on both")
    return Check("clocks", "OK", "the broker has stamped no record later than now")


def _codec() -> Check:
    from streams.engine.codec import compiled

    return Check("avro codec", "OK", compiled.in_force())


def _targets() -> Check:
    """The file of `oms notify` can be used, and every word that alerts are sent to has a target."""
    from streams.domain.alert import TARGETS
    from streams.domain.notify.routing import ALL
    from streams.notify import settings as notify

    found = notify.from_env()
    served = {word for route in found.routes for word in route.serves}
    left = [] if ALL in served or found.default else [word for word in TARGETS if word not in served]
    kinds = ", ".join(f"{target.name} ({target.kind})" for target in found.targets.values())
    if left:
        return Check("alert targets", "WARN", f"{kinds}; nobody takes {', '.join(left)}", "set `for` or `default`")
    return Check("alert targets", "OK", kinds)


def _maps(settings: Settings) -> Check:
    """A worker would start with the tables of OMS_MAPS_DIR."""
    from streams.commands.maps import in_use

    tables = in_use(settings.maps_dir).tables
    return Check("status maps", "OK", f"{len(tables)} tables, those of {settings.maps_dir} before the package's")


def _tools() -> Check:
    from streams.broker import BrokerError, find_binary

    found = [f"{name} {'found' if shutil.which(name) else 'missing'}" for name in ("java", "mvn")]
    try:
        find_binary()
        found.append("embedded broker found")
    except BrokerError:
        found.append("no embedded broker here: `oms demo` needs OMS_BROKER")
    return Check("optional", "OK", ", ".join(found) + " (java and mvn: only the tests on a real broker)")
