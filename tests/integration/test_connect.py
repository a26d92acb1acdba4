"""Topics become tables of finance, on real servers: nothing lost, doubled or aborted is in them, whatever dies."""

from __future__ import annotations

import copy
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import HTTPServer
from typing import Any

import psycopg
import pytest
from typer.testing import CliRunner, Result

from streams import topology
from streams.cli import app
from streams.connect import connectors, database, install, status
from streams.connect.connectors import DEAD_LETTERS
from streams.domain import ledger as rules
from streams.engine.codec import avro
from streams.engine.codec.registry import HttpRegistry
from tests.servers.apicurio import ApicurioServer
from tests.servers.finance import Finance, jvm, wait_running
from tests.servers.postgres.server import PASSWORD
from tests.support import entries
from tests.support.process import ROOT, WorkerProcess
from tests.support.progress import wait_until
from tests.support.records import ends, produce, read
from tests.support.tables import abort, committed, entry, letters, one, rows, tabled, wait_for
from tests.support.unwell import Unwell

pytestmark = [pytest.mark.integration, pytest.mark.connect]

ORDERS = -(-100_000 // entries.PER_ORDER)
ENTRIES = ORDERS * entries.PER_ORDER
T0 = entries.T0

Encode = Callable[[str, dict[str, Any]], bytes]
Oms = Callable[..., Result]


@pytest.fixture(scope="module")
def finance(registry: ApicurioServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finance]:
    install.bring()  # on a fresh machine that takes longer than a worker may
    with Finance(tmp_path_factory.mktemp("finance"), registry=registry) as servers:
        applied = CliRunner(env=servers.env).invoke(app, ["topics", "apply"])
        assert applied.exit_code == 0, applied.output
        yield servers


@pytest.fixture(scope="module")
def connect(finance: Finance) -> WorkerProcess:
    process = finance.process("connect", "connect", "up")
    wait_running(finance, process, len(connectors.load()))
    return process


@pytest.fixture
def oms(finance: Finance) -> Oms:
    return lambda *arguments, **more: CliRunner(env={**finance.env, **more}).invoke(app, list(arguments))


@pytest.fixture
def encode(finance: Finance) -> Encode:
    known = topology.load(registry=finance.registry.url)
    return lambda topic, value: known.encoder(topic)(value)


@pytest.fixture(scope="module")
def posted(finance: Finance, connect: WorkerProcess) -> list[dict[str, Any]]:
    """What the rules post for the orders, once it is in the table: by the ledger agent, which is killed on the way, as
    Connect is; and beside it, in the topic alone, entries of aborted transactions."""
    known, broker = topology.load(registry=finance.registry.url), finance.kafka.bootstrap
    encode = known.encoder("order-facts")
    told = (fact for number in range(ORDERS) for fact in entries.facts(number))
    produce(broker, (("order-facts", fact["order_guid"].encode(), encode(fact)) for fact in told))
    ledger = finance.process("ledger", "worker", "--agents", "ledger", OMS_BATCH_SIZE="100")
    wait_until(lambda: sum(ends(broker, "ledger-entries").values()) > 15_000, 180, "the ledger posts", every=0.25)
    ledger.kill()
    abort(finance, known.encoder("ledger-entries"), transactions=10, size=300)
    ledger.start()
    wait_until(lambda: one(finance, "SELECT count(*) FROM ledger_entries") > 10_000, 180, "rows come", every=0.2)
    before = jvm(connect)
    os.kill(before, signal.SIGKILL)
    abort(finance, known.encoder("ledger-entries"), transactions=10, size=300)
    wait_until(lambda: jvm(connect) != before, 60, "another Connect worker", every=0.25)
    wait_for(finance, "SELECT count(*) FROM ledger_entries", ENTRIES, 240)
    assert ledger.stop() == 0
    return [value for number in range(ORDERS) for value in entries.entries(number)]


@pytest.mark.rule("FIN-01", "FIN-06", "FIN-07")
def test_the_table_equals_the_committed_topic_though_ledger_and_connect_were_killed(
    finance: Finance, posted: list[dict[str, Any]]
) -> None:
    broker = finance.kafka.bootstrap
    every, seen = (len(read(broker, "ledger-entries", committed=which)) for which in (False, True))
    assert every >= seen + 6_000, "aborted records lie in the topic"
    topic = committed(finance)
    assert topic == {tuple(value.values()) for value in posted}
    assert tabled(finance) == topic
    total = one(finance, "SELECT sum(amount_minor)::bigint FROM ledger_entries")
    assert total == sum(value["amount_minor"] for value in posted) != 0


@pytest.mark.rule("FIN-13")
def test_views_say_of_each_order_and_of_all_what_the_ledger_says(
    finance: Finance, posted: list[dict[str, Any]]
) -> None:
    balance = {row["account"]: row for row in rows(finance, "SELECT * FROM finance.trial_balance")}
    total = balance.pop("TOTAL")
    assert total["debit_minor"] == total["credit_minor"] == sum(row["debit_minor"] for row in balance.values()) > 0
    assert set(balance) == {"cash", "customer_advances", "revenue", "discounts", "refunds", "commissions"}
    for account, row in balance.items():
        moved = [(value["debit_account"] == account) - (value["credit_account"] == account) for value in posted]
        assert row["balance_minor"] == sum(
            sign * abs(value["amount_minor"]) for sign, value in zip(moved, posted, strict=True)
        )

    (month,) = rows(finance, "SELECT * FROM finance.ledger_by_channel_and_period")
    assert (month["channel"], month["period"], month["entries"]) == ("wechat_mini", "2026-01", ENTRIES)
    assert month["received_minor"] - month["returned_minor"] - month["fees_minor"] == balance["cash"]["balance_minor"]
    assert month["revenue_minor"] - month["discounts_minor"] - month["refunds_minor"] == month["recognised_minor"]
    assert month["advances_minor"] == -balance["customer_advances"]["balance_minor"]

    orders = {row["order_guid"]: row for row in rows(finance, "SELECT * FROM finance.orders")}
    assert len(orders) == ORDERS
    for number in range(ORDERS):
        known, row = rules.of_entries(entries.entries(number)), orders[entries.guid(number)]
        assert known is not None
        assert row["kept_minor"] == known["paid_minor"] - known["refunded_minor"]
        assert row["recognised_minor"] == known["recognised_minor"]
        assert row["advances_minor"] == known["advances_minor"] == 0
        assert row["recognised_in"] == "2026-01"
    assert rows(finance, "SELECT * FROM finance.ledger_faults") == []


def test_finance_reads_views_and_neither_writes_nor_sees_tables(finance: Finance, connect: WorkerProcess) -> None:
    with psycopg.connect(finance.postgres.dsn, autocommit=True) as connection:
        connection.execute("SET ROLE finance_reader")
        for name in database.views():
            connection.execute(f"SELECT count(*) FROM {name}".encode())
        board = json.loads((ROOT / "docker/grafana/dashboards/business.json").read_text(encoding="utf-8"))
        for panel in board["panels"]:
            connection.execute(panel["targets"][0]["rawSql"].encode())
        reading = ("SELECT count(*) FROM ledger_entries", "SELECT count(*) FROM order_states")
        writing = ("INSERT INTO ledger_entries (entry_id) VALUES ('x')", "DELETE FROM finance.ledger")
        making = ("CREATE TABLE mine (x int)", "CREATE VIEW finance.mine AS SELECT 1")
        for refused in (*reading, *writing, *making):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(refused.encode())


def test_garbage_becomes_dead_letters_and_the_sink_goes_on(
    finance: Finance, connect: WorkerProcess, encode: Encode
) -> None:
    good = encode("ledger-entries", entry(1))
    far = encode("ledger-entries", entry(2, entry_id="far", recognized_at=9_000_000_000_000_000))
    bad: dict[str, tuple[bytes | None, bytes]] = {
        "artifactId": (b"magic", b"no avro"),
        "999999": (b"unknown", b"\0" + (999_999).to_bytes(4, "big") + good[5:]),
        "EOFException": (b"short", good[:20]),
        "no bytes": (b"empty", b""),
        "no key": (b"", good),
        "not the value's entry_id": (b"other", good),
        "channel holds a NUL": (b"nul", encode("ledger-entries", entry(3, entry_id="nul", channel="a\0b"))),
        "outside the years": (b"far", far),
    }
    produce(finance.kafka.bootstrap, [("ledger-entries", key, value) for key, value in bad.values()])
    after = [("ledger-entries", f"single/{n}".encode(), encode("ledger-entries", entry(n))) for n in range(100, 120)]
    produce(finance.kafka.bootstrap, after)
    wait_for(finance, "SELECT count(*) FROM ledger_entries WHERE order_guid = 'single'", len(after))

    dead: dict[tuple[bytes | None, bytes | None], str] = {}

    def come() -> bool:
        dead.update(letters(finance))
        return len(dead) >= len(bad)

    wait_until(come, 20, "dead letters")
    assert dead.keys() == set(bad.values())
    for why, place in bad.items():
        assert why in dead[place], dead[place]
    assert wait_running(finance, connect, len(connectors.load()), 5) < 5


def test_records_with_parts_become_flat_rows_and_tombstones_delete_them(
    finance: Finance, connect: WorkerProcess, encode: Encode
) -> None:
    state = {
        "order_guid": "DB1", "channel": "tmall", "state": "settled", "flags": ["gap", "refunded"],
        "codes": {"platform_txn_no": "T1", "waybills": ["W1", "W2"], "package_ids": []},
        "entered_at": {"paid": T0 + 1, "shipped": T0 + 86_400_000},
        "claims": {"douyin": {"raw": "已签收", "state": "signed", "at": T0}},
        "stock": [{"line_no": 1, "sku": "BAG", "quantity": 2, "outcome": "held"}],
        "score": 2.5, "node_step": 4, "version": 7, "updated_at": T0 + 5,
    }  # fmt: skip
    report = {"report_id": "FIN-04/2026-01-24T10:00", "name": "FIN-04", "period": "2026-01-24T10:00", "rows": "[]"}
    alert = {"alert_key": "FIN-04/DB1", "status": "open", "targets": ["email", "wecom"], "opened_at": T0}
    made: list[tuple[str, str, dict[str, Any]]] = [
        ("order-states", "DB1", state),
        ("order-states", "DB2", {"order_guid": "DB2", "version": 1}),
    ]
    made += [("reports", str(report["report_id"]), report), ("alerts", "FIN-04/DB1", alert)]
    broker = finance.kafka.bootstrap
    produce(broker, [(topic, key.encode(), encode(topic, value)) for topic, key, value in made])
    wait_for(finance, "SELECT count(*) FROM order_states", 2)
    (row,) = rows(finance, "SELECT * FROM order_states WHERE order_guid = 'DB1'")
    at = datetime.fromtimestamp(T0 / 1000, UTC).replace(tzinfo=None)
    assert {name: value for name, value in row.items() if value is not None} == {
        "order_guid": "DB1", "channel": "tmall", "state": "settled", "flags": ["gap", "refunded"],
        "codes_platform_txn_no": "T1", "codes_waybills": ["W1", "W2"], "codes_package_ids": [],
        "entered_at": {"paid": "2026-01-24T02:00:00.001Z", "shipped": "2026-01-25T02:00:00Z"},
        "claims": {"douyin": {"raw": "已签收", "state": "signed", "at": "2026-01-24T02:00:00Z"}},
        "stock": [{"line_no": 1, "sku": "BAG", "quantity": 2, "outcome": "held", "reason": None}],
        "score": 2.5, "node_step": 4, "version": 7, "updated_at": at.replace(microsecond=5_000),
    }  # fmt: skip
    wait_for(finance, "SELECT targets FROM alerts WHERE alert_key = 'FIN-04/DB1'", ["email", "wecom"])
    opened = "SELECT opened_at AT TIME ZONE 'UTC' FROM alerts WHERE alert_key = 'FIN-04/DB1'"
    wait_for(finance, opened, at.replace(tzinfo=UTC))

    produce(
        broker,
        [("order-states", b"DB2", None), ("order-states", b"DB1", encode("order-states", {**state, "version": 8}))],
    )
    wait_for(finance, "SELECT count(*) FROM order_states", 1)
    wait_for(finance, "SELECT version FROM order_states", 8)


@pytest.mark.rule("FIN-04")
def test_open_triples_and_what_is_settled_are_views(
    finance: Finance, posted: list[dict[str, Any]], encode: Encode
) -> None:
    listed = (
        '[{"channel":"tmall","alerted":1,"listed":0},{"order_guid":"DB7","channel":"tmall","currency":"CNY",'
        '"sales_minor":5000,"receipt_minor":4000,"sold":2,"shipped":null,"gap_minor":1000,"alert":true}]'
    )
    reports = [("2026-01-24T12:00", "[]"), ("2026-01-24T16:00", listed), ("2026-01-24T14:00", "[]")]
    values = [{"report_id": f"FIN-04/{run}", "name": "FIN-04", "period": run, "rows": text} for run, text in reports]
    produce(
        finance.kafka.bootstrap,
        [("reports", value["report_id"].encode(), encode("reports", value)) for value in values]
        + [("order-states", guid.encode(), encode("order-states", {"order_guid": guid, "state": "settled"}))
           for guid in (entries.guid(0), entries.guid(1))],
    )  # fmt: skip
    wait_for(finance, "SELECT count(*) FROM finance.open_triples", 1)
    (triple,) = rows(finance, "SELECT * FROM finance.open_triples")
    assert triple == {
        "run": "2026-01-24T16:00", "order_guid": "DB7", "channel": "tmall", "currency": "CNY", "sales_minor": 5000,
        "receipt_minor": 4000, "gap_minor": 1000, "sold": 2, "shipped": None, "alert": True,
    }  # fmt: skip
    assert rows(finance, "SELECT * FROM finance.triples_by_run") == [
        {"run": "2026-01-24T16:00", "channel": "tmall", "alerted": 1, "listed": 0}
    ]
    by = "SELECT {} FROM finance.recognised_against_settled WHERE channel = 'wechat_mini'"
    wait_for(finance, by.format("settled_orders"), 2)
    (row,) = rows(finance, by.format("*"))
    known = [rules.of_entries(entries.entries(number)) for number in range(ORDERS)]
    kept = sum(of["paid_minor"] - of["refunded_minor"] for of in known[:2] if of is not None)
    recognised = sum(of["recognised_minor"] for of in known if of is not None)
    assert (row["period"], row["orders"]) == ("2026-01", ORDERS)
    assert (row["recognised_minor"], row["settled_minor"]) == (recognised, kept)
    assert row["difference_minor"] == recognised - kept


def test_a_nullable_field_that_is_added_becomes_a_column(
    finance: Finance, connect: WorkerProcess, encode: Encode
) -> None:
    wider = copy.deepcopy(topology.load().schema("ledger-entries"))
    wider["fields"].append({"name": "cost_center", "type": ["null", "string"], "default": None, "doc": "Who pays."})
    later = avro.encoder(HttpRegistry(finance.registry.url), "ledger-entries-value", wider)
    produce(
        finance.kafka.bootstrap,
        [("ledger-entries", b"single/200", later(entry(200, cost_center="shop"))),
         ("ledger-entries", b"single/201", encode("ledger-entries", entry(201)))],
    )  # fmt: skip
    wait_for(finance, "SELECT count(*) FROM ledger_entries WHERE entry_id IN ('single/200', 'single/201')", 2)
    assert rows(finance, "SELECT entry_id, cost_center FROM ledger_entries WHERE cost_center IS NOT NULL") == [
        {"entry_id": "single/200", "cost_center": "shop"}
    ]


def test_a_registry_that_is_unwell_is_waited_for_and_makes_no_dead_letters(
    finance: Finance, connect: WorkerProcess, encode: Encode
) -> None:
    (reports,) = (connector for connector in connectors.load() if connector.name == "reports")
    late = {**reports.config, "collection.name.format": "reports_late"}
    dead = sum(ends(finance.kafka.bootstrap, DEAD_LETTERS).values())
    produce(finance.kafka.bootstrap, [("reports", b"late", encode("reports", {"report_id": "late", "name": "late"}))])
    wait_for(finance, "SELECT count(*) FROM reports WHERE report_id = 'late'", 1)
    with HTTPServer(("127.0.0.1", 0), Unwell) as unwell:
        threading.Thread(target=unwell.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{unwell.server_port}/apis/registry/v2"
        away = {"value.converter.apicurio.registry.url": url, "value.converter.wait.ms": "1000"}
        finance.rest.put("reports-late", {**late, **away})

        def failed() -> bool:
            told = status.parts(finance.rest.statuses(), ["reports-late"])
            return any("the schema registry does not answer" in part.why for part in told)

        wait_until(failed, 60, "the task gives up", every=0.25)
        unwell.shutdown()
    assert Unwell.asked > 1
    finance.rest.put("reports-late", late)
    count = one(finance, "SELECT count(*) FROM reports")
    wait_until(lambda: bool(one(finance, "SELECT to_regclass('reports_late')::text")), 60, "a table")
    wait_for(finance, "SELECT count(*) FROM reports_late", count)
    assert sum(ends(finance.kafka.bootstrap, DEAD_LETTERS).values()) == dead


def test_tables_are_made_as_the_sink_would_make_them(finance: Finance, connect: WorkerProcess, encode: Encode) -> None:
    """So a column that the sink adds later is of the same kind."""
    shape = (
        "SELECT column_name, data_type, udt_name, is_nullable FROM information_schema.columns "
        "WHERE table_name = '{}' AND column_name <> 'cost_center' ORDER BY column_name"
    )
    made: dict[str, dict[str, Any]] = {"ledger-entries": entry(300)}
    made |= {"alerts": {"alert_key": "shape", "status": "closed"}, "reports": {"report_id": "shape", "name": "shape"}}
    made["order-states"] = {"order_guid": "shape", "version": 1}
    for connector in connectors.load():
        value = made[connector.topic]
        record = (connector.topic, value[connector.key].encode(), encode(connector.topic, value))
        produce(finance.kafka.bootstrap, [record])
        table = f"{connector.table}_by_sink"
        finance.rest.put(f"{connector.name}-copy", {**connector.config, "collection.name.format": table})
    for connector in connectors.load():
        table = f"{connector.table}_by_sink"
        wait_for(finance, f"SELECT count(*) > 0 FROM information_schema.columns WHERE table_name = '{table}'", True)
        assert rows(finance, shape.format(table)) == rows(finance, shape.format(connector.table))


def test_a_task_that_fails_is_told_in_one_line_and_started_again(
    finance: Finance, connect: WorkerProcess, oms: Oms, encode: Encode
) -> None:
    fine = oms("connect", "status")
    assert (fine.exit_code, fine.stderr) == (0, "")
    assert "alerts task 0 RUNNING\n" in fine.stdout
    with psycopg.connect(finance.postgres.dsn, autocommit=True) as connection:
        connection.execute("ALTER TABLE alerts ADD CONSTRAINT few CHECK (count < 5)")
        many = encode("alerts", {"alert_key": "many", "status": "open", "count": 7})
        produce(finance.kafka.bootstrap, [("alerts", b"many", many)])
        told = [""]

        def failed() -> bool:
            told.append(oms("connect", "status").stderr)
            return "alerts task 0 FAILED" in told[-1]

        wait_until(failed, 60, "a failed task", every=0.2)
        assert told[-1].count("\n") == 1
        assert 'violates check constraint "few"' in told[-1]
        connection.execute("ALTER TABLE alerts DROP CONSTRAINT few")
    wait_for(finance, "SELECT count(*) FROM alerts WHERE alert_key = 'many'", 1, 90)
    assert "alerts: what had failed is started again" in connect.text()


def test_apply_mends_what_is_different_and_only_that(finance: Finance, connect: WorkerProcess, oms: Oms) -> None:
    wanted = {connector.name: connector for connector in connectors.load()}
    finance.rest.put("reports", {**wanted["reports"].config, "batch.size": "7"})
    applied = oms("connect", "apply")
    assert applied.exit_code == 0, applied.output
    assert applied.stdout.splitlines() == [
        f"{name}: {'applied' if name == 'reports' else 'is as it should be'}" for name in wanted
    ]
    assert "reports: is as it should be" in oms("connect", "apply").stdout
    views = oms("connect", "views")
    assert views.stdout.split() == database.views()
    assert finance.rest.config("reports") == {**wanted["reports"].config, "name": "reports"}


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"OMS_CONNECT_DB": ""}, "OMS_CONNECT_DB is not set"),
        ({"OMS_CONNECT_DB_PASSWORD": "wrong"}, 'password authentication failed for user "oms"'),
        ({"OMS_CONNECT_URL": "http://127.0.0.1:9"}, "no Connect worker at http://127.0.0.1:9"),
    ],
)
def test_what_is_away_or_set_wrongly_is_one_line(oms: Oms, wrong: dict[str, str], says: str) -> None:
    refused = oms("connect", "apply", **wrong)
    assert refused.exit_code == 1
    assert says in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "throw-away" not in refused.output


def test_stopped_it_leaves_the_group_and_ends_well(connect: WorkerProcess) -> None:
    began = time.monotonic()
    process = jvm(connect)
    assert connect.stop() == 0, connect.tail()
    assert time.monotonic() - began < 30
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
    left = [path for path in (connect.data / "connect").iterdir() if path.is_file()]
    assert {"worker.log", "worker.properties"} <= {path.name for path in left}
    assert [path.name for path in left if PASSWORD in path.read_text(errors="replace")] == []
