"""A broker is brought to topics.yaml, and topics are read back: committed records only, decoded."""

import itertools
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from streams import topics_admin, topology
from streams.errors import OmsError
from streams.topology import Topology
from tests.servers.kafka import KafkaServer

pytestmark = pytest.mark.integration


@pytest.fixture
def own(tmp_path: Path) -> Callable[[int], Topology]:
    """A topology of two topics with names of their own, so that the shared broker's are left alone."""
    document = yaml.safe_load((topology.data_folder() / "topics.yaml").read_text(encoding="utf-8"))
    mark = uuid.uuid4().hex[:8]
    document["topics"] = {f"{name}-{mark}": document["topics"][name] for name in ("reports", "dead-letters")}
    (tmp_path / "topics.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    (tmp_path / "schemas").symlink_to(topology.load().schemas_folder)
    return lambda partitions: topology.load(folder=tmp_path, partitions=partitions)


def until(check: Callable[[], bool], seconds: float = 15.0) -> bool:
    """Brokers apply changes a moment after they confirm them."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_topics_are_made_mended_and_never_given_other_partitions(
    kafka: KafkaServer, own: Callable[[int], Topology]
) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap}
    wanted = own(2)
    name = next(iter(wanted.topics))
    agent = f"a-{uuid.uuid4().hex[:8]}"
    missing = topics_admin.diff(conf, wanted, [agent])
    assert [one.topic for one in missing] == [*wanted.topics, f"oms-{agent}-changelog"]
    assert str(missing[0]) == f"{name}: missing, to be made with 2 partitions"

    assert topics_admin.apply(conf, wanted, [agent]) == missing
    assert until(lambda: topics_admin.diff(conf, wanted, [agent]) == [])
    assert topics_admin.apply(conf, wanted, [agent]) == []

    client = AdminClient(conf)
    entry = ConfigEntry("min.compaction.lag.ms", "5", incremental_operation=AlterConfigOpType.SET)
    change = ConfigResource(ResourceType.TOPIC, name, incremental_configs=[entry])
    for future in client.incremental_alter_configs([change]).values():
        future.result(10)
    said = f"{name}: min.compaction.lag.ms is 5, topics.yaml wants 60000"
    assert until(lambda: [str(one) for one in topics_admin.diff(conf, wanted)] == [said])
    topics_admin.apply(conf, wanted)
    assert until(lambda: topics_admin.diff(conf, wanted) == [])

    found = topics_admin.apply(conf, own(3))
    assert str(found[0]) == f"{name}: has 2 partitions, topics.yaml wants 3: not changed, state would be torn apart"
    assert [one.mendable for one in found] == [False, False]
    assert topics_admin.diff(conf, wanted) == []


def test_a_topic_is_read_to_its_end_or_followed(kafka: KafkaServer, own: Callable[[int], Topology]) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap}
    wanted = own(1)
    topics_admin.apply(conf, wanted)
    name = next(iter(wanted.topics))
    encode = wanted.encoder(name)
    producer = Producer({**conf, "transactional.id": uuid.uuid4().hex})
    producer.init_transactions(30)

    def send(*records: tuple[str, bytes | None], commit: bool = True) -> None:
        producer.begin_transaction()
        for key, value in records:
            producer.produce(name, value, key)
        producer.flush(30)
        _ = producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    def report(key: str, period: str) -> tuple[str, bytes]:
        return key, encode({"report_id": key, "name": "n", "period": period})

    send(report("a", "1"), report("b", "1"), report("a", "2"), report("c", "1"))
    send(report("d", "never"), commit=False)
    send(("b", None), ("e", b"junk"))

    every = list(topics_admin.read_topic(conf, wanted, name))
    assert [(one["key"], one["value"] and one["value"]["period"]) for one in every] == [
        ("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("b", None), ("e", None),
    ]  # fmt: skip
    assert list(every[0]["value"]) == [field["name"] for field in wanted.schema(name)["fields"]]
    assert every[-1]["error"] == "4 bytes are too few for a schema id"
    last = list(topics_admin.read_topic(conf, wanted, name, last=True))
    assert [(one["key"], one["value"] and one["value"]["period"]) for one in last] == [
        ("a", "2"),
        ("c", "1"),
        ("e", None),
    ]

    following = topics_admin.read_topic(conf, wanted, name, last=True, follow=True)
    assert [one["key"] for one in itertools.islice(following, 3)] == ["a", "c", "e"]
    send(report("f", "1"))
    assert next(following)["key"] == "f"
    following.close()  # type: ignore[attr-defined]


def test_what_cannot_be_read_is_one_clear_line(kafka: KafkaServer, own: Callable[[int], Topology]) -> None:
    conf = {"bootstrap.servers": kafka.bootstrap}
    wanted = own(1)
    name = next(iter(wanted.topics))
    with pytest.raises(OmsError, match=f"^the broker has no topic {name}: run `oms topics apply`$"):
        list(topics_admin.read_topic(conf, wanted, name))
    with pytest.raises(OmsError, match=r"^unknown topic 'nope'"):
        list(topics_admin.read_topic(conf, wanted, "nope"))
