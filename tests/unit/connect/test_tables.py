"""Tables follow from schemas: every field of a topic has a column, and what a schema gains is added."""

from __future__ import annotations

import pytest

from streams import topology
from streams.connect import connectors, database
from streams.connect.tables import Column, columns, statements

CONNECTORS = connectors.load()


def test_inner_records_are_flattened_lists_kept_and_all_else_is_json() -> None:
    parts = {"type": "array", "items": {"type": "record", "name": "P", "fields": []}}
    schema = {
        "type": "record",
        "name": "X",
        "fields": [
            {"name": "id", "type": "string"},
            {"name": "n", "type": ["null", "int"], "default": None},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
            {"name": "words", "type": {"type": "array", "items": "string"}},
            {"name": "times", "type": {"type": "map", "values": "long"}},
            {
                "name": "inner",
                "type": [
                    "null",
                    {"type": "record", "name": "I", "fields": [
                        {"name": "must", "type": "long"},
                        {"name": "parts", "type": parts},
                    ]},
                ],
            },
        ],
    }  # fmt: skip
    assert columns(schema) == [
        Column("id", "text", False),
        Column("n", "integer", True),
        Column("at", "timestamp(6)", False),
        Column("words", "text[]", False),
        Column("times", "json", False),
        Column("inner_must", "bigint", True),
        Column("inner_parts", "json", True),
    ]
    made = statements("x", "id", schema)
    assert made[0].startswith('CREATE TABLE IF NOT EXISTS "x" ("id" text NOT NULL, "n" integer, ')
    assert made[0].endswith('"inner_parts" json, PRIMARY KEY ("id"))')
    assert made[2] == 'ALTER TABLE "x" ADD COLUMN IF NOT EXISTS "n" integer'


@pytest.mark.parametrize("connector", CONNECTORS, ids=lambda connector: connector.name)
def test_every_sink_has_a_table_with_its_key(connector: connectors.Connector) -> None:
    found = {column.name: column for column in columns(topology.load().schema(connector.topic))}
    assert found[connector.key].type == "text"
    assert not found[connector.key].nullable
    assert connector.key == topology.load().topic(connector.topic).key
    assert connector.table == connector.topic.replace("-", "_")


def test_sinks_are_alike_but_for_topic_table_and_key() -> None:
    own = {"topics", "collection.name.format", "primary.key.fields", "transforms.row.key.field"}
    first, *others = ({k: v for k, v in one.config.items() if k not in own} for one in CONNECTORS)
    assert others == [first] * (len(CONNECTORS) - 1)
    assert [connector.name for connector in CONNECTORS] == ["alerts", "ledger-entries", "order-states", "reports"]
    assert all(connector.topic == connector.name for connector in CONNECTORS)
    assert all(one.config["transforms.row.key.field"] == one.key for one in CONNECTORS)
    assert first["errors.deadletterqueue.topic.name"] == connectors.DEAD_LETTERS in topology.load().topics
    assert first["consumer.override.isolation.level"] == "read_committed"
    assert first["tasks.max"] == "1", "two tasks race for ALTER TABLE"


def test_no_connector_holds_a_secret() -> None:
    for connector in CONNECTORS:
        assert connector.config["connection.password"] == "${env:OMS_CONNECT_DB_PASSWORD}"


def test_views_have_names() -> None:
    assert [path.name for path in database.scripts()] == sorted(path.name for path in database.scripts())
    assert "finance.trial_balance" in database.views()
    assert all(name.startswith("finance.") for name in database.views())
