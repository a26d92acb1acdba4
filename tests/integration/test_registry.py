"""The schemas and codecs over a real schema registry, and `oms topics apply` that brings it up to date."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams import registry_admin, topology
from streams.broker import BrokerError, EmbeddedBroker, find_binary
from streams.cli import app
from streams.engine.codec import avro
from streams.engine.codec.errors import DecodeError, RegistryError
from streams.engine.codec.registry import HttpRegistry
from tests.servers.apicurio import ApicurioServer

pytestmark = pytest.mark.registry

MUST = {"name": "must", "type": "string"}
MAY = {"name": "may", "type": ["null", "string"], "default": None}
REPORT = {"report_id": "r", "name": "n", "period": "2026-01", "rows": "[]", "generated_at": 1769220000000}


@pytest.fixture(autouse=True)
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever proxy this machine has for other traffic."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def subject(registry: ApicurioServer, request: pytest.FixtureRequest) -> str:
    """A subject of the test's own."""
    return f"{request.node.name}-value"


def schema(name: str, *more: dict[str, Any]) -> dict[str, Any]:
    found = copy.deepcopy(topology.load().schema(name))
    found["fields"] += more
    return found


def test_every_schema_gets_an_id_that_stays_and_its_codec_goes_through_the_registry(registry: ApicurioServer) -> None:
    ours, files = topology.load(registry=registry.url), topology.load()
    registry_admin.apply(ours)
    ids = {}
    for name, topic in ours.topics.items():
        if topic.subject is not None:
            ids[name] = ours.registry.id_of(topic.subject, ours.schema(name))
            assert HttpRegistry(registry.url).id_of(topic.subject, ours.schema(name)) == ids[name]
            known = HttpRegistry(registry.url).by_id(ids[name])
            assert (known["name"], known["fields"]) == (ours.schema(name)["name"], ours.schema(name)["fields"])
    assert len(set(ids.values())) == len(ids) >= 19

    payload = ours.encoder("reports")(REPORT)
    assert payload[:5] == b"\0" + ids["reports"].to_bytes(4, "big")
    assert payload[5:] == files.encoder("reports")(REPORT)[5:]
    assert topology.load(registry=registry.url).decoder("reports", drop_nulls=True)(payload).items() >= REPORT.items()


def test_a_schema_that_cannot_read_what_was_written_is_refused(registry: ApicurioServer, subject: str) -> None:
    """Transitive: also where only the version before the last one could not be read."""
    there = HttpRegistry(registry.url)
    there.id_of(subject, schema("reports"))
    assert there.required(subject) == "NONE", "the server's own default protects nothing"
    there.require(subject, registry_admin.LEVEL)
    assert there.required(subject) == "BACKWARD_TRANSITIVE"

    with pytest.raises(RegistryError, match=r"answers 409 .*must at /fields/"):
        there.id_of(subject, schema("reports", MUST))
    with_default = {"name": "must", "type": "string", "default": "-"}
    first, second = (there.id_of(subject, schema("reports", *more)) for more in ((), (with_default,)))
    with pytest.raises(RegistryError, match="answers 409"):
        there.id_of(subject, schema("reports", MUST))  # reads the second version, not the first
    assert there.has(subject, schema("reports", with_default))
    assert not there.has(subject, schema("reports", MAY))
    assert len({first, second, there.id_of(subject, schema("reports", with_default, MAY))}) == 3


def test_records_of_an_older_release_and_of_a_newer_one_are_read(registry: ApicurioServer, subject: str) -> None:
    there = HttpRegistry(registry.url)
    old = avro.encoder(there, subject, schema("reports"))(REPORT)
    new = avro.encoder(there, subject, schema("reports", MAY))({**REPORT, "may": "x"})
    fresh = HttpRegistry(registry.url)
    assert avro.decoder(fresh, schema("reports", MAY))(old)["may"] is None
    assert avro.decoder(fresh, schema("reports", MAY))(new)["may"] == "x"
    assert "may" not in avro.decoder(fresh, schema("reports"))(new)


@pytest.mark.parametrize("number", [0, 999_999, 2**31 - 1])
def test_an_id_nobody_has_is_a_bad_record_and_no_trouble_of_the_registry(registry: ApicurioServer, number: int) -> None:
    decode = avro.decoder(HttpRegistry(registry.url), schema("reports"))
    with pytest.raises(DecodeError, match=f"^unknown schema id {number}$"):
        decode(b"\0" + number.to_bytes(4, "big") + b"\2x")


@pytest.fixture
def oms(registry: ApicurioServer) -> Iterator[Callable[..., Result]]:
    try:
        find_binary()
    except BrokerError as error:
        pytest.skip(f"no embedded broker: {error}")
    with EmbeddedBroker() as broker:
        environ = {"OMS_BROKER": f"kafka://{broker.url}", "OMS_REGISTRY": registry.url, "OMS_PARTITIONS": "1"}
        yield lambda *arguments, **more: CliRunner(env={**environ, **more}).invoke(app, list(arguments))


def test_topics_apply_registers_the_schemas_and_requires_that_new_ones_read_the_old(
    oms: Callable[..., Result], registry: ApicurioServer
) -> None:
    there = HttpRegistry(registry.url)
    there.id_of("alerts-value", schema("alerts"))
    there.require("alerts-value", "BACKWARD")
    differs = oms("topics", "diff")
    assert differs.exit_code == 1
    assert "alerts: the registry requires BACKWARD of alerts-value, not BACKWARD_TRANSITIVE" in differs.stdout

    applied = oms("topics", "apply")
    assert applied.exit_code == 0, applied.output
    assert "mended alerts: the registry requires BACKWARD" in applied.stdout
    assert "mended orders: missing" in applied.stdout
    assert "all is as topics.yaml says" in oms("topics", "diff").stdout
    subjects = [topic.subject for topic in topology.load().topics.values() if topic.subject is not None]
    assert {there.required(subject) for subject in subjects} == {"BACKWARD_TRANSITIVE"}


def test_topics_apply_registers_no_schema_when_another_is_refused(
    oms: Callable[..., Result], registry: ApicurioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transitive: the version in between could still be read."""
    there = HttpRegistry(registry.url)
    in_between = schema("oversell-breaks", {"name": "must", "type": "string", "default": "-"})
    assert oms("topics", "apply").exit_code == 0
    there.id_of("oversell-breaks-value", in_between)
    known = there.versions("oversell-breaks-value")
    assert [*known] == [1, 2]
    assert known[2]["fields"][-1]["name"] == "must"

    real = topology.Topology.schema
    changed = {"oversell-breaks": schema("oversell-breaks", MUST), "alerts": schema("alerts", MAY)}
    monkeypatch.setattr(topology.Topology, "schema", lambda self, name: changed.get(name) or real(self, name))
    refused = oms("topics", "apply")
    assert refused.exit_code == 1
    assert "of version 1 of oversell-breaks-value: OversellBreaks.must: new and without a default" in refused.stderr
    assert not there.has("alerts-value", changed["alerts"])
    assert there.versions("oversell-breaks-value") == known
    assert there.versions("nobody-value") == {}


def test_topics_apply_makes_no_topic_when_the_registry_refuses_a_schema(
    oms: Callable[..., Result], registry: ApicurioServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert oms("topics", "apply").exit_code == 0
    real, worse = topology.Topology.schema, schema("reports", MUST)

    def changed(self: topology.Topology, name: str) -> dict[str, Any]:
        return worse if name == "reports" else real(self, name)

    with EmbeddedBroker() as empty, monkeypatch.context() as patch:
        patch.setattr(topology.Topology, "schema", changed)
        refused = oms("topics", "apply", "--broker", f"kafka://{empty.url}")
        assert refused.exit_code == 1
        assert refused.stderr == (
            "oms: reports: its schema cannot read records of version 1 of reports-value: "
            "Reports.must: new and without a default\n"
        )
        shown = oms("topics", "diff", "--broker", f"kafka://{empty.url}")
        assert "reports: its schema cannot read records of version 1 of reports-value: Reports.must" in shown.stdout
        patch.undo()
        assert "orders: missing" in oms("topics", "diff", "--broker", f"kafka://{empty.url}").stdout


def test_a_registry_that_is_away_is_one_line_and_nothing_is_made(oms: Callable[..., Result]) -> None:
    away = oms("topics", "apply", OMS_REGISTRY="http://127.0.0.1:9")
    assert away.exit_code == 1
    assert away.stderr.startswith("oms: registry http://127.0.0.1:9 cannot be reached")
    assert "orders: missing" in oms("topics", "diff").stdout
