"""Our producer against a broker whose answers fail: what it makes of each, and what became of the data."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.engine import transaction as clients
from streams.engine.errors import InfrastructureError, Misconfigured
from streams.engine.partitioner import partition_of
from streams.engine.transaction import KafkaTransaction, is_fatal
from streams.engine.wire import cluster, producer, protocol
from streams.engine.wire.producer import WireTransaction, open_transaction, reason_against
from streams.engine.wire.security import Security
from tests.unit.engine.wire.broker import CLOSE, SILENCE, FakeBroker

pytestmark = pytest.mark.skipif(
    not producer.BUILT, reason="the C extension was not built"
)  # test_batch.py fails over it
METADATA = b"CGMDv2:" + struct.pack("=i", 3) + b"group\0member\0\0here\0"
SENT = (protocol.PRODUCE, protocol.TXN_OFFSET_COMMIT, protocol.END_TXN)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "COMMIT_SECONDS", 0.4)
    monkeypatch.setattr(clients, "METADATA_SECONDS", 0.4)
    monkeypatch.setattr(clients, "INIT_SECONDS", 0.6)
    monkeypatch.setattr(cluster, "RETRY_SECONDS", 0.005)


@pytest.fixture
def broker() -> Iterator[FakeBroker]:
    with FakeBroker() as one:
        yield one


MADE: list[WireTransaction] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while MADE:
        MADE.pop().close()


def opened(broker: FakeBroker, **conf: Any) -> WireTransaction:
    conf = {"bootstrap.servers": f"127.0.0.1:{broker.port}", **conf}
    security = Security.of(conf)
    assert isinstance(security, Security)
    MADE.append(WireTransaction(conf, security, "tx", lambda topic: METADATA))
    return MADE[-1]


def one_turn(made: WireTransaction) -> dict[tuple[str, int], int]:
    made.begin()
    made.sink("out", b"v", "k")
    made.sink("out", b"w", "k")
    made.changelog("log", 2, [(b"a", b"1"), (b"b", None), (b"c", b"2")])
    return dict(made.commit({("in", 0): 7, ("in", 1): 8}))


def test_a_transaction_is_three_requests_however_many_partitions_it_writes_to(broker: FakeBroker) -> None:
    made = opened(broker)
    assert one_turn(made) == {("log", 2): 103}
    made.begin()
    for number in range(50):
        made.sink("out", b"v", str(number))
    made.commit({("in", 0): 9})
    assert broker.calls(*SENT) == [*SENT, *SENT]
    (committed, first, offsets), (_, second, _) = broker.done
    assert committed
    assert {(topic, partition) for topic, partition, _ in first} == {("out", partition_of(b"k", 4)), ("log", 2)}
    assert offsets == [("in", 0, 7, "tx\0"), ("in", 1, 8, "tx\0")]
    assert broker.members[0] == ("group", 3, "member", "here")
    assert {partition for _, partition, _ in second} == {0, 1, 2, 3}
    assert struct.unpack_from(">qhi", second[0][2], 43) == (9, 2, 0), "another epoch, and sequence numbers begin anew"


def test_the_offsets_of_every_group_that_reads_for_it_are_in_the_transaction(broker: FakeBroker) -> None:
    made = opened(broker)
    made._group_metadata = lambda topic: METADATA.replace(b"group", b"other") if topic == "more" else METADATA
    made.begin()
    made.sink("out", b"v", b"k")
    made.commit({("in", 0): 7, ("more", 0): 3, ("in", 1): 8})
    assert [group for group, *_ in broker.members] == ["group", "other"]
    [(committed, _, offsets)] = broker.done
    assert committed
    assert offsets == [("in", 0, 7, "tx\0"), ("in", 1, 8, "tx\0"), ("more", 0, 3, "tx\0")]


def test_a_group_that_refuses_its_offsets_refuses_the_transaction(broker: FakeBroker) -> None:
    made = opened(broker)
    made._group_metadata = lambda topic: METADATA.replace(b"group", b"other") if topic == "more" else METADATA
    broker.faults[protocol.TXN_OFFSET_COMMIT] = [0, KafkaError.ILLEGAL_GENERATION]
    made.begin()
    made.sink("out", b"v", b"k")
    with pytest.raises(KafkaException):
        made.commit({("in", 0): 7, ("more", 0): 3})
    made.abort()
    assert [committed for committed, *_ in broker.done] == [False]


def test_a_record_that_is_forwarded_has_its_place_and_header_and_one_without_tells_where_it_ended(
    broker: FakeBroker,
) -> None:
    made = opened(broker)
    number = made.place("out", b"k")
    assert number == partition_of(b"k", 4)
    made.begin()
    made.forward("out", b"v", b"k", number)
    made.forward("marked", b"w", b"k", 3, ("oms-folded-x", b"17"))
    made.commit({})
    assert made.ends == {("out", number): 101}
    [(_, batches, _)] = broker.done
    [marked] = [data for topic, partition, data in batches if (topic, partition) == ("marked", 3)]
    name = b"oms-folded-x"
    assert marked.endswith(b"\x02w" + b"\x02" + bytes([2 * len(name)]) + name + b"\x0417"), "one header"
    made.begin()
    made.commit({})
    assert made.ends == {}


def test_nothing_said_is_nothing_asked(broker: FakeBroker) -> None:
    made = opened(broker)
    made.begin()
    assert made.commit({}) == {}
    made.begin()
    made.sink("out", b"v", b"k")
    made.abort()  # nothing of it was sent
    assert broker.calls(*SENT) == []


def test_much_goes_out_while_the_turn_still_folds(broker: FakeBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producer, "FULL_BYTES", 10_000)
    monkeypatch.setattr(producer, "BATCH_BYTES", 4_000)
    made = opened(broker)
    made.begin()
    for number in range(30):
        made.sink("out", b"%03d" % number + b"x" * 1_000, b"k")
    before = len(made._sent)
    made.commit({})
    assert before > 1
    [(_, batches, _)] = broker.done
    firsts = [struct.unpack_from(">ii", data, 53) for _, _, data in batches]
    assert [first for first, _ in firsts] == [sum(count for _, count in firsts[:at]) for at in range(len(firsts))]
    text = b"".join(data for _, _, data in batches)
    places = [text.index(b"%03dxxx" % number) for number in range(30)]
    assert places == sorted(places), "in order, none missing"


@pytest.mark.parametrize("again", [1, 3])
def test_batches_that_come_before_the_last_markers_are_written_are_sent_again_each_once(
    broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, again: int
) -> None:
    """Those behind them in their partition are refused for their sequence numbers meanwhile."""
    monkeypatch.setattr(producer, "BATCH_BYTES", 4_000)
    made = opened(broker)
    made.begin()
    for number in range(9):
        made.sink("out", b"%03d" % number + b"x" * 1_900, b"k")
    broker.faults[protocol.PRODUCE] = [51, 45, 45, 45, 45] * again
    made.commit({("in", 0): 7})
    [(committed, batches, _)] = broker.done
    assert committed
    assert [struct.unpack_from(">i", data, 53)[0] for _, _, data in batches] == [0, 2, 4, 6, 8]
    text = b"".join(data for _, _, data in batches)
    assert [text.count(b"%03dxxx" % number) for number in range(9)] == [1] * 9


def test_a_sequence_number_that_is_wrong_by_itself_ends_the_producer(broker: FakeBroker) -> None:
    made = opened(broker)
    broker.faults[protocol.PRODUCE] = [45]
    with pytest.raises(KafkaException) as raised:
        one_turn(made)
    assert is_fatal(raised.value)


def test_a_last_transaction_that_never_ends_is_given_up(broker: FakeBroker) -> None:
    made = opened(broker)
    broker.faults[protocol.PRODUCE] = [51] * 1000
    started = time.monotonic()
    with pytest.raises(KafkaException) as raised:
        one_turn(made)
    assert time.monotonic() - started < 2
    assert not is_fatal(raised.value)
    broker.faults[protocol.PRODUCE].clear()
    made.abort()
    assert one_turn(made) == {("log", 2): 103}


def test_an_abort_leaves_nothing_and_the_next_transaction_goes_on(broker: FakeBroker) -> None:
    made = opened(broker)
    made.begin()
    made.sink("out", b"lost", b"k")
    made._send()
    made.abort()
    one_turn(made)
    assert [(committed, len(batches)) for committed, batches, _ in broker.done] == [(False, 1), (True, 2)]
    assert not made.broken


@pytest.mark.parametrize("api", [protocol.TXN_OFFSET_COMMIT, protocol.END_TXN])
@pytest.mark.parametrize("code", [KafkaError.COORDINATOR_LOAD_IN_PROGRESS, KafkaError.NOT_COORDINATOR, 51])
def test_what_passes_by_itself_is_asked_again(broker: FakeBroker, api: int, code: int) -> None:
    made = opened(broker)
    broker.faults[api] = [code, code]
    assert one_turn(made) == {("log", 2): 103}
    assert len(broker.calls(api)) == 3
    assert [committed for committed, _, _ in broker.done] == [True]


@pytest.mark.parametrize(
    ("api", "code"),
    [
        (protocol.PRODUCE, KafkaError.NOT_LEADER_FOR_PARTITION),
        (protocol.PRODUCE, KafkaError.MSG_SIZE_TOO_LARGE),
        (protocol.TXN_OFFSET_COMMIT, KafkaError.ILLEGAL_GENERATION),
        (protocol.TXN_OFFSET_COMMIT, KafkaError.UNKNOWN_MEMBER_ID),
    ],
)
def test_what_a_later_try_may_mend_is_aborted_and_the_producer_goes_on(broker: FakeBroker, api: int, code: int) -> None:
    made = opened(broker)
    broker.faults[api] = [code]
    with pytest.raises(KafkaException) as raised:
        one_turn(made)
    assert raised.value.args[0].code() == code
    assert not is_fatal(raised.value)
    made.abort()
    assert not made.broken
    assert one_turn(made) == {("log", 2): 103}
    assert [committed for committed, _, _ in broker.done] == [False, True]
    assert len(broker.calls(protocol.METADATA)) > 2, "leaders are asked anew"


@pytest.mark.parametrize("api", SENT)
@pytest.mark.parametrize("code", [KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED])
def test_who_is_fenced_is_told_so(broker: FakeBroker, api: int, code: int) -> None:
    made = opened(broker)
    broker.faults[api] = [code]
    with pytest.raises(KafkaException) as raised:
        one_turn(made)
    assert is_fatal(raised.value)
    assert [committed for committed, _, _ in broker.done if committed] == []


def test_another_in_our_place_of_the_group_is_said_in_the_words_the_runner_knows(broker: FakeBroker) -> None:
    made = opened(broker)
    broker.faults[protocol.TXN_OFFSET_COMMIT] = [82]
    with pytest.raises(KafkaException, match="Static consumer fenced"):
        one_turn(made)


@pytest.mark.parametrize("api", SENT)
@pytest.mark.parametrize(("fault", "code"), [(CLOSE, KafkaError._TRANSPORT), (SILENCE, KafkaError._TIMED_OUT)])
def test_no_answer_breaks_the_producer_in_time(broker: FakeBroker, api: int, fault: str, code: int) -> None:
    made = opened(broker)
    broker.faults[api] = [fault]
    started = time.monotonic()
    with pytest.raises(KafkaException) as raised:
        one_turn(made)
    assert raised.value.args[0].code() == code
    assert made.broken
    made.abort()
    assert time.monotonic() - started < 2
    assert broker.done == []


def test_an_idle_connection_that_was_closed_costs_nothing(broker: FakeBroker) -> None:
    made = opened(broker)
    one_turn(made)
    broker.hang_up()
    time.sleep(0.05)
    assert one_turn(made) == {("log", 2): 103}
    assert [committed for committed, _, _ in broker.done] == [True, True]


def test_what_was_left_open_is_waited_for(broker: FakeBroker) -> None:
    broker.faults[protocol.INIT_PRODUCER_ID] = [51, 51, CLOSE, 14]
    one_turn(opened(broker))
    assert [committed for committed, _, _ in broker.done] == [True]


def test_a_broker_that_cannot_be_reached_is_named(broker: FakeBroker) -> None:
    broker.__exit__(None, None, None)
    with pytest.raises(InfrastructureError, match=f"cannot start transactions as tx: 127.0.0.1:{broker.port}"):
        opened(broker)


def test_a_topic_that_is_missing_is_named(broker: FakeBroker) -> None:
    made = opened(broker)
    broker.faults[protocol.METADATA] = [3] * 1000
    made.begin()
    with pytest.raises(KafkaException, match="out"):
        made.sink("out", b"v", b"k")


# -- security ---------------------------------------------------------------------------------------------------------

SASL = {"security.protocol": "SASL_PLAINTEXT", "sasl.username": "user"}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_it_proves_itself_and_a_wrong_password_is_refused(mechanism: str) -> None:
    with FakeBroker(password="secret") as broker:
        conf = {**SASL, "sasl.mechanism": mechanism}
        one_turn(opened(broker, **conf, **{"sasl.password": "secret"}))
        assert len(broker.done) == 1
        with pytest.raises(Misconfigured, match="wrong password") as raised:
            opened(broker, **conf, **{"sasl.password": "guess"})
        assert "guess" not in str(raised.value)


def test_a_proof_that_runs_out_is_given_again_between_two_transactions() -> None:
    """KIP-368. Else every such hour would end in a transaction whose outcome is not known, and all opened anew."""
    with FakeBroker(password="secret", session_ms=300) as broker:
        made = opened(broker, **SASL, **{"sasl.mechanism": "PLAIN", "sasl.password": "secret"})
        for _ in range(12):
            assert one_turn(made) == {("log", 2): 103}
            time.sleep(0.05)
        assert len(broker.done) == 12
        assert 3 <= len(broker.calls(protocol.SASL_AUTHENTICATE)) <= 5


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ({"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}, "SASL mechanism OAUTHBEARER"),
        ({"security.protocol": "SASL_PLAINTEXT"}, "SASL mechanism GSSAPI"),
        ({"ssl.keystore.location": "x"}, "setting ssl.keystore.location"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/no/such/file"}, "TLS settings"),
        ({"compression.type": "zstd"}, "compression zstd"),
    ],
)
def test_what_it_cannot_do_is_left_to_librdkafka(conf: dict[str, str], why: str) -> None:
    assert why in str(reason_against(conf))


def test_an_older_broker_and_a_setting_leave_it_to_librdkafka(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    monkeypatch.setattr(KafkaTransaction, "__init__", lambda self, conf, name, *_: made.append(name))
    with FakeBroker(level=1) as broker:
        conf = {"bootstrap.servers": f"127.0.0.1:{broker.port}"}
        one, why = open_transaction(conf, "tx", lambda topic: METADATA)
        assert isinstance(one, KafkaTransaction)
        assert why == "the broker has transaction.version 1"
        assert open_transaction(conf, "ty", lambda topic: METADATA, "librdkafka")[1] == "by setting"
    assert made == ["tx", "ty"]
