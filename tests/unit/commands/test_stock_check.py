"""`oms stock check` and `oms stock SKU` over a replay's folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams.cli import app
from streams.commands.stock_books import Books

AT = 1_769_083_200_000
GUID = "DB20260122AAAAAAAAAAAA"
Row = dict[str, Any]


def oms(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def row(pool: str, delta: int, reason: str, guid: str | None = None, sku: str = "BAG", warehouse: str = "HZ") -> Row:
    where = None if pool == "held" else warehouse
    return {"sku": sku, "warehouse": where, "pool": pool, "delta": delta, "reason": reason, "order_guid": guid,
            "line_no": 1 if guid else None, "at": AT, "event_id": "e"}  # fmt: skip


def state(sku: str = "BAG", held: int = 0, available: int = 0, **more: Any) -> Row:
    empty = {"sales": 0, "reserved": 0, "quality_check": 0, "in_transit": 0}
    pools = {name: {**empty, **levels} for name, levels in more.pop("pools", {}).items()}
    return {"sku": sku, "warehouses": pools, "held": held, "available": available, "oversold": 0, "paused": False,
            "virtual": 0, "version": 3, "updated_at": AT, **more}  # fmt: skip


def order(guid: str, at: str, *flags: str) -> Row:
    return {"order_guid": guid, "state": at, "flags": [*flags]}


RECEIVED = row("sales", 87, "received")
SOLD = [row("held", 2, "reserved", GUID), row("held", -2, "confirmed", GUID), row("sales", -2, "confirmed", GUID)]
HOLDS = row("held", 3, "reserved", GUID)


def folder(tmp_path: Path, ledger: list[Row], states: list[Row], orders: list[Row] | None = None) -> Path:
    def write(topic: str, key: str, values: list[Row]) -> None:
        lines = [json.dumps({"key": value[key], "value": value}) for value in values]
        (tmp_path / f"{topic}.jsonl").write_text("".join(line + "\n" for line in lines))

    write("stock-ledger", "sku", ledger)
    write("inventory-states", "sku", states)
    write("order-states", "order_guid", orders or [])
    return tmp_path


def findings(tmp_path: Path, ledger: list[Row], states: list[Row], orders: list[Row] | None = None) -> list[Row]:
    result = oms("stock", "check", "--from", folder(tmp_path, ledger, states, orders), "--json")
    said: list[Row] = json.loads(result.stdout)["findings"]
    assert result.exit_code == (1 if said else 0), result.output
    return said


def brief(found: list[Row]) -> list[tuple[str, str, int, int]]:
    return [(each["kind"], each["where"], each["wanted"], each["found"]) for each in found]


@pytest.mark.rule("INV-10")
def test_books_that_add_up_are_said_to(tmp_path: Path) -> None:
    old = state(held=2, available=85, pools={"HZ": {"sales": 87}})
    new = state(held=3, available=82, pools={"HZ": {"sales": 85}})
    orders = [order(GUID, "pending_payment")]
    result = oms("stock", "check", "--from", folder(tmp_path, [RECEIVED, *SOLD, HOLDS], [old, new], orders))
    assert result.exit_code == 0, result.output
    assert "all adds up: 1 SKUs, 5 ledger rows, 1 holds of orders" in result.stdout


@pytest.mark.rule("INV-10")
def test_a_level_that_the_ledger_does_not_sum_to_is_found(tmp_path: Path) -> None:
    changed = state(available=86, pools={"HZ": {"sales": 86}, "SH": {"reserved": 1}})
    assert brief(findings(tmp_path, [RECEIVED], [changed])) == [
        ("level", "HZ sales", 87, 86),
        ("level", "SH reserved", 0, 1),
    ]
    lost = state(available=87, pools={"HZ": {"sales": 87}})
    moved = row("in_transit", 4, "moved")
    assert brief(findings(tmp_path, [RECEIVED, moved], [lost])) == [("level", "HZ in_transit", 4, 0)]
    assert brief(findings(tmp_path, [RECEIVED], [])) == [("state", "", 1, 0)]


@pytest.mark.rule("INV-06")
def test_what_is_held_and_free_must_be_the_stock_of_sales(tmp_path: Path) -> None:
    wrong = state(held=3, available=87, pools={"HZ": {"sales": 87}})
    orders = [order(GUID, "pending_payment")]
    assert brief(findings(tmp_path, [RECEIVED, HOLDS], [wrong], orders)) == [("balance", "sales", 87, 90)]
    unheld = state(available=87, pools={"HZ": {"sales": 87}})
    assert brief(findings(tmp_path, [RECEIVED, HOLDS], [unheld], orders)) == [("level", "held", 3, 0)]


@pytest.mark.rule("INV-08")
def test_below_zero_stands_only_what_was_oversold(tmp_path: Path) -> None:
    sold = row("sales", -90, "confirmed", GUID)
    right = state(available=-3, oversold=3, pools={"HZ": {"sales": -3}})
    assert findings(tmp_path, [RECEIVED, sold], [right]) == []
    silent = state(available=-3, pools={"HZ": {"sales": -3}})
    assert brief(findings(tmp_path, [RECEIVED, sold], [silent])) == [("oversold", "sales", 3, 0)]
    frozen = row("reserved", -1, "moved")
    below = state(available=87, pools={"HZ": {"sales": 87, "reserved": -1}})
    assert brief(findings(tmp_path, [RECEIVED, frozen], [below])) == [
        ("below_zero", "HZ reserved", 0, -1),
        ("below_zero", "HZ reserved (ledger)", 0, -1),
    ]


@pytest.mark.rule("INV-10")
def test_a_pool_that_was_below_zero_in_between_is_found(tmp_path: Path) -> None:
    ledger = [RECEIVED, row("held", -1, "released", None), row("held", 1, "reserved", None)]
    right = state(available=87, pools={"HZ": {"sales": 87}})
    assert brief(findings(tmp_path, ledger, [right])) == [("below_zero", "held (ledger)", 0, -1)]


@pytest.mark.rule("INV-07")
@pytest.mark.parametrize(
    ("how_far", "flags", "over"),
    [
        ("pending_payment", [], False),
        ("pending_payment", ["closed"], True),
        ("paid", ["refunded"], True),
        ("paid", [], True),
        ("settled", [], True),
    ],
)
def test_a_finished_or_paid_order_holds_nothing(tmp_path: Path, how_far: str, flags: list[str], over: bool) -> None:
    holds = state(held=3, available=84, pools={"HZ": {"sales": 87}})
    found = findings(
        tmp_path, [RECEIVED, HOLDS], [holds], [order(GUID, "pending_payment"), order(GUID, how_far, *flags)]
    )
    assert brief(found) == ([("order", GUID, 0, 3)] if over else [])


@pytest.mark.rule("INV-07")
def test_a_hold_of_nobody_and_a_hold_given_back_twice_are_found(tmp_path: Path) -> None:
    holds = state(held=3, available=84, pools={"HZ": {"sales": 87}})
    assert "order-states does not know it" in findings(tmp_path, [RECEIVED, HOLDS], [holds])[0]["text"]
    other = row("held", 5, "reserved", GUID[:-1] + "B")
    twice = [RECEIVED, other, row("held", 2, "reserved", GUID), row("held", -4, "released", GUID)]
    orders = [order(GUID, "pending_payment", "closed"), order(GUID[:-1] + "B", "pending_payment")]
    found = findings(tmp_path, twice, [holds], orders)
    assert brief(found) == [("order", GUID, 0, -2)]
    assert "gave back 2 more" in found[0]["text"]


def test_findings_are_listed_in_words_up_to_the_limit(tmp_path: Path) -> None:
    states = [state(f"S{number}", available=1, pools={"HZ": {"sales": 1}}) for number in range(5)]
    result = oms("stock", "check", "--from", folder(tmp_path, [], states), "--limit", "2")
    assert result.exit_code == 1
    said = result.stdout.splitlines()
    assert said[0] == "level      S0 HZ sales: the ledger sums to 0, inventory-states says 1"
    assert said[2:] == ["... and 3 more", "5 things do not add up in 5 SKUs, 0 ledger rows, 0 holds of orders"]


def test_a_ledger_that_lost_its_beginning_proves_nothing_and_says_so() -> None:
    books = Books()
    books.post(row("held", -2, "confirmed", GUID), cut=True)
    books.post(row("sales", -2, "confirmed", GUID), cut=True)
    books.state("BAG", state(held=0, available=85, pools={"HZ": {"sales": 85}}))
    assert books.findings() == []
    assert books.cut == {"BAG"}
    books.state("BAG", state(held=0, available=84, pools={"HZ": {"sales": 85}}))
    assert [each.kind for each in books.findings()] == ["balance"]


def test_a_difference_is_the_same_one_while_stock_moves() -> None:
    books = Books()
    books.post(RECEIVED)
    books.state("BAG", state(available=86, pools={"HZ": {"sales": 86}}))
    first = books.findings()[0]
    books.post(row("sales", -1, "confirmed", GUID))
    books.state("BAG", state(available=85, pools={"HZ": {"sales": 85}}))
    second = books.findings()[0]
    assert first != second
    assert first.identity == second.identity
    books.state("BAG", state(available=84, pools={"HZ": {"sales": 84}}))
    assert books.findings()[0].identity != first.identity


@pytest.mark.parametrize("command", [("check",), ("BAG",)])
def test_a_folder_without_a_replay_is_wrong_use(tmp_path: Path, command: tuple[str, ...]) -> None:
    result = oms("stock", *command, "--from", tmp_path)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "no folder of `oms replay`" in result.stderr


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    out = folder(tmp_path, [RECEIVED], [])
    (out / "stock-ledger.jsonl").write_text('{"key": "BAG"}\n')
    result = oms("stock", "check", "--from", out)
    assert (result.exit_code, "stock-ledger.jsonl:1" in result.stderr) == (1, True)


@pytest.mark.rule("INV-01")
def test_one_sku_is_shown_with_levels_holds_and_changes(tmp_path: Path) -> None:
    held = state(held=3, available=82, paused=True, pools={"HZ": {"sales": 85, "in_transit": 1200}})
    voucher = row("held", 1, "reserved", None)
    noise = [row("sales", 9, "received", sku="BAG-2")]
    out = folder(tmp_path, [RECEIVED, *SOLD, HOLDS, voucher, *noise], [held, state("BAG-2")])
    shown = oms("stock", "BAG", "--from", out)
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.stdout.split())
    assert "available 82 selling is paused" in text
    assert "HZ 85 0 0 1,200" in text
    assert f"3 {GUID} line 1 since 2026-01-22 20:00:00 +08" in text
    assert "1 carts" in text
    assert f"-2 HZ sales confirmed {GUID} line 1" in text
    assert "BAG-2" not in text

    said = json.loads(oms("stock", "show", "BAG", "--from", out, "--json", "--changes", "2").stdout)
    assert said["held_for"] == [{"order_guid": GUID, "line_no": 1, "units": 3, "since": AT}]
    assert said["vouchers"] == 1
    assert [change["delta"] for change in said["changes"]] == [3, 1]
    assert said["state"]["available"] == 82


def test_an_unknown_sku_is_a_finding(tmp_path: Path) -> None:
    result = oms("stock", "NONE", "--from", folder(tmp_path, [RECEIVED], []))
    assert (result.exit_code, "no SKU 'NONE'" in result.stderr) == (1, True)


@pytest.mark.rule("INV-01", "INV-10")
def test_what_was_loaded_is_there_after_a_replay_and_adds_up(tmp_path: Path) -> None:
    source, events, out = tmp_path / "stock.csv", tmp_path / "stock.jsonl", tmp_path / "out"
    source.write_text("sku,warehouse,pool,quantity\nBAG,HZ,,87\nBAG,SH,reserved,20\nCUP,HZ,,5\n")
    assert oms("stock", "load", source, "--out", events, "--at", AT).exit_code == 0
    received = {"event_id": "r-1", "event_type": "stock_received", "event_time": AT + 1000, "source": "wms-hz",
                "sku": "BAG", "warehouse": "HZ", "quantity": 13}  # fmt: skip
    more = tmp_path / "more.jsonl"
    more.write_text(json.dumps({"topic": "wms", "value": received}))
    assert oms("replay", events, more, events, "--out", out).exit_code == 0
    checked = oms("stock", "check", "--from", out)
    assert checked.exit_code == 0, checked.output
    shown = json.loads(oms("stock", "BAG", "--from", out, "--json").stdout)
    assert shown["state"]["available"] == 100
    assert [(row["pool"], row["delta"]) for row in shown["changes"]] == [("sales", 87), ("reserved", 20), ("sales", 13)]


def test_a_sku_is_found_that_was_pasted_with_blanks_around_it(tmp_path: Path) -> None:
    where = folder(tmp_path, [RECEIVED], [state(available=87, pools={"HZ": {"sales": 87}})])
    shown, pasted = (oms("stock", sku, "--from", where) for sku in ("BAG", " BAG\t"))
    assert (pasted.exit_code, pasted.stdout) == (0, shown.stdout)
