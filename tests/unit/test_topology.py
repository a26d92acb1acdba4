"""topics.yaml becomes topics; what is wrong with it is one clear line."""

import shutil
from pathlib import Path

import pytest
import yaml

from streams import topology
from streams.topology import TopologyError

DAY = 86_400_000


def test_inputs_outputs_and_internal_topics_are_told_apart() -> None:
    topics = topology.load().topics
    inputs = {name for name, topic in topics.items() if topic.is_input}
    assert inputs == {"orders", "payments", "couriers", "wms", "service", "ops", "finance", "tax"}
    assert topics["order-states"].is_output
    assert not topics["order-facts"].is_output
    assert all(sum((t.is_input, t.is_output, t.internal)) == 1 for t in topics.values())


def test_cleanup_and_retention_become_broker_settings() -> None:
    topics = topology.load().topics
    assert topics["order-events"].retention_ms == 90 * DAY
    assert topics["order-events"].config["retention.ms"] == str(90 * DAY)
    assert topics["order-events"].config["cleanup.policy"] == "delete"
    assert topics["order-states"].retention_ms is None
    assert topics["order-states"].config["cleanup.policy"] == "compact"
    assert "retention.ms" not in topics["order-states"].config
    assert int(topics["dead-letters"].config["max.message.bytes"]) > int(topics["orders"].config["max.message.bytes"])


def test_retention_goes_by_the_time_of_append_since_event_times_may_be_years_old() -> None:
    reg = topology.load()
    for topic in (*reg.topics.values(), reg.changelog("orders")):
        assert topic.config["message.timestamp.type"] == "LogAppendTime"


def test_the_number_of_partitions_can_be_overridden_for_all_topics_at_once() -> None:
    assert {topic.partitions for topic in topology.load().topics.values()} == {8}
    reg = topology.load(partitions=3)
    assert {topic.partitions for topic in reg.topics.values()} == {3}
    assert reg.changelog("orders").partitions == 3
    assert reg.changelog("orders", 5).partitions == 5


def test_a_changelog_is_derived_from_its_agent() -> None:
    changelog = topology.load().changelog("orders")
    assert changelog.name == topology.load().changelog_topic("orders") == "oms-orders-changelog"
    assert changelog.internal
    assert changelog.writers == ("orders",)
    assert changelog.config["cleanup.policy"] == "compact"
    assert topology.load().is_changelog(changelog.name)


def test_codecs_are_made_once_and_internal_topics_hold_json() -> None:
    reg = topology.load()
    assert reg.encoder("orders") is reg.encoder("orders")
    assert reg.decoder("orders") is not reg.decoder("orders", drop_nulls=True)
    assert reg.encoder("order-facts")({"a": None}) == b'{"a":null}'
    assert reg.decoder("order-facts")(b'{"a":null}') == {"a": None}


def test_an_unknown_topic_is_named() -> None:
    reg = topology.load()
    for call in (reg.topic, reg.encoder, reg.decoder, reg.schema):
        with pytest.raises(TopologyError, match="unknown topic 'nope'"):
            call("nope")
    with pytest.raises(TopologyError, match="order-facts holds JSON"):
        reg.schema("order-facts")


@pytest.mark.parametrize(
    ("where", "value", "reason"),
    [
        (("topics", "orders", "cleanup"), "shred", "cleanup of orders is 'shred', not one of "),
        (("topics", "orders", "retention"), "soon", "retention of orders is 'soon', not like '90 d'"),
        (("topics", "order-states", "retention"), "1 d", "order-states needs a retention if it is deleted, none if"),
        (("topics",), None, "cannot be used"),
        (("defaults",), {}, "cannot be used"),
    ],
)
def test_a_fault_in_the_file_is_one_clear_line(
    tmp_path: Path, where: tuple[str, ...], value: object, reason: str
) -> None:
    document = yaml.safe_load((topology.data_folder() / "topics.yaml").read_text(encoding="utf-8"))
    entry = document
    for key in where[:-1]:
        entry = entry[key]
    entry[where[-1]] = value
    (tmp_path / "topics.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    with pytest.raises(TopologyError) as caught:
        topology.load(folder=tmp_path)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [None, "a: [", "just text"])
def test_a_missing_or_unreadable_file_is_one_clear_line(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "topics.yaml").write_text(text)
    with pytest.raises(TopologyError, match=r"topics\.yaml: cannot be used") as caught:
        topology.load(folder=tmp_path)
    assert "\n" not in str(caught.value)


def test_another_folder_can_hold_the_topics_and_schemas(tmp_path: Path) -> None:
    shutil.copytree(topology.data_folder(), tmp_path / "data", ignore=lambda _, names: {".git", ".venv"} & {*names})
    there = topology.load(folder=tmp_path / "data")
    assert there.topics == topology.load().topics
    value = {"report_id": "r", "name": "n"}
    assert there.encoder("reports")(value) == topology.load().encoder("reports")(value)
