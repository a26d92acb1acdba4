"""The generator of benchmark events: what it cuts and fills must be what encoding would have given."""

from collections import Counter

import pytest

from bench.gen_olist import events
from streams import topology
from streams.lines import code_of


@pytest.fixture(scope="module")
def codecs() -> topology.Topology:
    return topology.load()


def test_the_filled_payloads_are_what_the_codec_writes(codecs: topology.Topology) -> None:
    for topic, key, payload in events(3_000, codecs=codecs, open_orders=100):
        value = codecs.decoder(topic)(payload)
        assert codecs.encoder(topic)(value) == payload
        assert code_of({name: item for name, item in value.items() if item is not None}) == key.decode()


def test_every_order_is_created_once_and_its_waybill_is_its_own(codecs: topology.Topology) -> None:
    created: Counter[str] = Counter()
    waybills: dict[str, str] = {}
    for topic, _, payload in events(3_000, codecs=codecs, open_orders=100):
        value = codecs.decoder(topic)(payload)
        order_id = value["event_id"].partition("-")[0]
        created[order_id] += value["event_type"] == "order_created"
        if value.get("waybill_no"):
            assert waybills.setdefault(value["waybill_no"], order_id) == order_id
            assert value["waybill_no"] == "OL" + order_id[:16]
    assert max(created.values()) == 1


def test_the_same_seed_gives_the_same_events_and_another_seed_other_orders(codecs: topology.Topology) -> None:
    first, again = (list(events(500, codecs=codecs, seed=1)) for _ in range(2))
    other = {key for _, key, _ in events(500, codecs=codecs, seed=2)}
    assert first == again
    assert other.isdisjoint(key for _, key, _ in first)


def test_event_times_rise_at_the_asked_speed(codecs: topology.Topology) -> None:
    payloads = [
        codecs.decoder(topic)(payload)["event_time"]
        for topic, _, payload in events(100, codecs=codecs, start_ms=1_700_000_000_000, events_per_second=500)
    ]
    assert payloads == [1_700_000_000_000 + 2 * number for number in range(100)]
