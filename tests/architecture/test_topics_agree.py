"""topics.yaml, schemas, the contract, agents and connectors say the same."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from streams import agents, topology

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = Path(os.environ.get("OMS_REFERENCE", ROOT.parent / "shared"))
TOPOLOGY = topology.load()
TOPICS = TOPOLOGY.topics
AVRO = sorted(name for name, topic in TOPICS.items() if topic.subject is not None)
AGENTS = {agent.name: agent for whole in agents.ALL for agent in whole.parts or (whole,)}
# Named by topics.yaml and not built yet: the topics are the contract's, so they stand there all the same.
TO_COME: set[str] = set()
FACETS_TO_COME: dict[str, set[str]] = {}

ENVELOPE = {
    "event_id": "string", "event_type": "string", "event_time": "time", "source": "string", "channel": "string?",
    "order_no": "string?", "platform_txn_no": "string?", "internal_no": "string?", "waybill_no": "string?",
    "package_id": "string?", "order_guid": "string?", "operator": "string?", "raw": "string?",
}  # fmt: skip


def kind(schema: Any) -> str:
    if isinstance(schema, list):
        return kind(next(branch for branch in schema if branch != "null")) + "?"
    if isinstance(schema, dict):
        return "time" if schema.get("logicalType") == "timestamp-millis" else str(schema["type"])
    return str(schema)


def fields(topic: str) -> dict[str, dict[str, Any]]:
    return {field["name"]: field for field in TOPOLOGY.schema(topic)["fields"]}


def all_fields(schema: Any) -> list[dict[str, Any]]:
    """Every field at any depth."""
    if isinstance(schema, list):
        return [field for branch in schema for field in all_fields(branch)]
    if not isinstance(schema, dict):
        return []
    own = schema.get("fields", [])
    inner = [schema.get(key) for key in ("items", "values", "type")]
    return [*own, *(f for field in own for f in all_fields(field["type"])), *(f for i in inner for f in all_fields(i))]


def test_every_avro_topic_has_its_schema_and_every_schema_its_topic() -> None:
    files = sorted(path.stem for path in TOPOLOGY.schemas_folder.glob("*.avsc"))
    assert files == sorted({TOPICS[name].schema for name in AVRO})
    assert all(TOPICS[name].schema == name for name in AVRO), "a topic's schema bears its name"


@pytest.mark.parametrize("name", AVRO)
def test_a_schema_bears_the_name_of_its_topic(name: str) -> None:
    schema = TOPOLOGY.schema(name)
    assert (schema["namespace"], schema["name"]) == ("oms", "".join(part.capitalize() for part in name.split("-")))


@pytest.mark.parametrize("name", AVRO)
def test_money_is_an_integer_times_are_timestamps_and_every_field_is_explained(name: str) -> None:
    schema = TOPOLOGY.schema(name)
    assert schema["doc"]
    for field in all_fields(schema):
        found = kind(field["type"]).rstrip("?")
        assert field.get("doc"), field["name"]
        assert re.fullmatch(r"[a-z][a-z0-9_]*", field["name"])
        if field["name"].endswith("_minor"):
            assert found == "long", field["name"]
        if re.search(r"(_at|_time|_start|_end)$|^at$", field["name"]) and field["name"] != "entered_at":
            assert found == "time", field["name"]
        if kind(field["type"]).endswith("?"):
            assert field.get("default", "missing") is None, f"{field['name']}: nullable means null by default"


@pytest.mark.parametrize("name", sorted(name for name, topic in TOPICS.items() if topic.is_input))
def test_every_input_carries_the_envelope_and_needs_nothing_else(name: str) -> None:
    found = fields(name)
    assert {key: kind(found[key]["type"]) for key in ENVELOPE} == ENVELOPE
    for field in all_fields({"fields": [f for key, f in found.items() if key not in ENVELOPE]}):
        assert kind(field["type"]).endswith("?"), (
            f"{name}.{field['name']}: intake refuses what is missing, with a reason"
        )


def test_internal_topics_hold_json_or_bytes_and_no_others_do() -> None:
    assert {name for name, t in TOPICS.items() if t.subject is None} == {
        n for n, t in TOPICS.items() if t.internal
    }


def test_every_topic_has_writers_and_readers_that_exist() -> None:
    known = {*AGENTS, *TO_COME, "external", "engine", "connect"}
    for name, topic in TOPICS.items():
        assert topic.writers, f"{name} has no writer"
        assert topic.readers, f"{name} has no reader"
        assert {*topic.writers, *topic.readers} <= known, name
        assert topic.key, name
        assert topic.about, name


def test_an_output_topic_has_one_writer() -> None:
    assert {name: topic.writers for name, topic in TOPICS.items() if topic.is_output and len(topic.writers) != 1} == {}


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_an_agent_reads_and_writes_what_topics_yaml_says(name: str) -> None:
    agent = AGENTS[name]
    for source in agent.sources:
        assert name in TOPICS[source].readers, f"{name} reads {source}"
    for target in agent.writes:
        if TOPICS[target].writers != ("engine",):
            assert name in TOPICS[target].writers, f"{name} writes {target}"


@pytest.mark.parametrize("name", sorted(AGENTS))
def test_topics_yaml_names_no_agent_that_does_not_read_or_write(name: str) -> None:
    agent = AGENTS[name]
    assert {topic for topic, entry in TOPICS.items() if name in entry.readers} == {*agent.sources}
    unwritten = {topic for topic, entry in TOPICS.items() if name in entry.writers} - {*agent.writes}
    assert unwritten == FACETS_TO_COME.get(name, set())


def test_connectors_sink_topics_that_exist_with_what_makes_their_records_flat() -> None:
    """A table cannot hold a record, nor the sink a map: the transform makes columns of them."""
    for path in sorted((ROOT / "connectors").glob("*.json")):
        config = json.loads(path.read_text(encoding="utf-8"))
        name = config["topics"]
        assert TOPICS[name].is_output, f"{path.name}: {name}"
        assert "external" in TOPICS[name].readers
        assert path.stem == name
        assert config["transforms.row.type"] == "oms.connect.Row", path.name
        assert TOPICS[config["errors.deadletterqueue.topic.name"]].writers == ("connect",)
        assert config["primary.key.fields"] == config["transforms.row.key.field"] == TOPICS[name].key
        assert config["primary.key.fields"] in fields(name)


CONTRACT = REFERENCE / "contract.md"


@pytest.mark.skipif(not CONTRACT.is_file(), reason="the contract's text is not here")
def test_the_contract_lists_the_same_topics_keys_cleanup_and_fields() -> None:
    text = CONTRACT.read_text(encoding="utf-8")
    inputs, outputs = text.split("## 2.")[0], text.split("## 2.")[1].split("## 3.")[0]
    listed = set()
    for row in re.findall(r"^\| `([a-z-]+)` \| [^|]+ \| ([^|]+) \|$", inputs, re.M):
        listed.add(row[0])
        wanted = re.sub(r"\{[^}]*\}|\([^)]*\)", "", row[1])
        assert {*re.findall(r"`(\w+)`", wanted)} <= {*fields(row[0])}, row[0]
    for name, key, cleanup, main in re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \| ([^|]+) \| (.+) \|$", outputs, re.M):
        listed.add(name)
        topic = TOPICS[name]
        assert topic.key == key
        days = f" {topic.retention_ms // 86_400_000} d" if topic.retention_ms else ""
        assert f"{topic.cleanup}{days}" == cleanup, name
        wanted = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\([^)]*\)", "", main)
        assert {*re.findall(r"`(\w+)`", wanted)} - {"held"} <= {*fields(name)}, name
    # Topics that came later are ours to add; none of the contract's may be missing.
    assert listed <= {name for name, topic in TOPICS.items() if not topic.internal}
