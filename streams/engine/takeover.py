"""Aborts what a dead predecessor left open, so that nobody waits for its transaction to time out.

A worker that is killed in the middle of a turn leaves a transaction open. Until the broker aborts it (after
``transaction.timeout.ms``, looked at every 10 s by default), readers of its output topics see nothing newer. Started
again under its id, it aborts it itself; here whoever takes its partitions over does it: a producer that initialises
with the dead worker's transactional id. The id is known from the metadata of the offsets committed last.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from confluent_kafka import Consumer, IsolationLevel, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from streams.engine.align import Place

log = logging.getLogger(__name__)

SECONDS: Final = 5.0
_LEFT: Final[list[AdminClient | Consumer]] = []
"""Clients whose question was not answered: destroying one while it waits for a coordinator can crash librdkafka
(``rd_kafka_enq_once_del_source_return: Assertion `eonce->refcnt > 0' failed``)."""


def fence_dead_owners(conf: Mapping[str, Any], group: str, own: str, places: Sequence[TopicPartition]) -> None:
    """Fence the former owners of these partitions that are no longer in the group. Needs static membership, where a
    member's instance id is its transactional id. Only saves time: what fails here is logged and left to the timeout."""
    try:
        owners = _owners(conf, group, places) - {own}
        for name in sorted(owners - _members(conf, group)) if owners else ():
            log.info("%s: aborting what %s left open", own, name)
            Producer({**conf, "transactional.id": name}).init_transactions(SECONDS)
    except KafkaException as error:
        log.warning("%s: cannot abort what a dead worker left open: %s", own, error)


def _owners(conf: Mapping[str, Any], group: str, places: Sequence[TopicPartition]) -> set[str]:
    """Transactional ids that committed these offsets last. Not read_committed: that would wait for the dead one."""
    probe = Consumer({**conf, "group.id": group, "isolation.level": "read_uncommitted", "enable.auto.commit": False})
    try:
        found = probe.committed([TopicPartition(place.topic, place.partition) for place in places], SECONDS)
    except BaseException:
        _LEFT.append(probe)
        raise
    probe.close()
    return {place.metadata.rstrip("\0") for place in found if place.error is None and place.metadata}


def _members(conf: Mapping[str, Any], group: str) -> set[str]:
    admin = AdminClient({**conf})  # kept until the answer is there: the future dies with its client
    try:
        described = admin.describe_consumer_groups([group], request_timeout=SECONDS)[group].result(2 * SECONDS)
    except BaseException:
        _LEFT.append(admin)
        raise
    return {member.group_instance_id for member in described.members if member.group_instance_id}


class Written:
    """Asks the broker where places end. One client for all questions: to make one costs more than the answer."""

    def __init__(self, conf: Mapping[str, Any]) -> None:
        self._conf = conf
        self._client: AdminClient | None = None

    def ends(self, places: Sequence[TopicPartition]) -> dict[Place, int]:
        """What is not committed yet included: a former owner's last transaction may be decided and not be readable
        yet. Raises KafkaException."""
        client, self._client = self._client or AdminClient({**self._conf}), None
        asked = {TopicPartition(place.topic, place.partition): OffsetSpec.latest() for place in places}
        options = {"isolation_level": IsolationLevel.READ_UNCOMMITTED, "request_timeout": SECONDS}
        try:
            answers = client.list_offsets(asked, **options)
            found = {place: future.result(2 * SECONDS) for place, future in answers.items()}
        except BaseException:
            _LEFT.append(client)
            raise
        self._client = client
        return {(place.topic, place.partition): answer.offset for place, answer in found.items()}
