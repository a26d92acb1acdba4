"""DQ-10: what other systems demand is checked before anything is sent to them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.domain.rules import data
from streams.domain.systems import Demand, Register, SystemsError

PUSH: dict[str, Any] = {
    "push_id": "created/DB1",
    "at": 5,
    "order_guid": "DB1",
    "targets": ["erp", "wms", "crm"],
    "codes": {"alias18": "DBASTRABCDEFGHIJKL"},
    "lines": [{"sku": "BAG"}, {"sku": "杯"}],
}


def document(**entry: Any) -> dict[str, Any]:
    system = {"owner": "o", "found": "f", "fields": {"order-pushes": {"codes.alias18": {"length": 18}}}}
    return {"receivers": {"order-pushes": "targets", "calls": "=tax"}, "systems": {"wms": {**system, **entry}}}


@pytest.mark.rule("DQ-10", "ID-07")
@pytest.mark.parametrize(
    ("alias", "reason"),
    [
        ("DBASTRABCDEFGHIJKL", None),
        ("DBASTRABCDEFGHIJK", "codes.alias18 has 17 characters, 18 are demanded"),
        ("DBASTRABCDEFGHIJKLM", "codes.alias18 has 19 characters, 18 are demanded"),
        ("DBASTRABCDEFGHIJKl", "codes.alias18 holds a character other than [A-Z0-9]"),
        (None, "codes.alias18 is missing"),
    ],
)
def test_a_warehouse_that_would_drop_the_order_does_not_get_it_and_its_owner_is_told(
    alias: str | None, reason: str | None
) -> None:
    passed, told = data.systems().through(("order-pushes", "DB1", {**PUSH, "codes": {"alias18": alias}}))
    assert passed is not None
    if reason is None:
        assert (passed[2]["targets"], told) == (["erp", "wms", "crm"], [])
        return
    assert passed[2]["targets"] == ["erp", "crm"]
    assert passed[2]["codes"] == {"alias18": alias}, "nothing is shortened to fit"
    [(topic, key, finding)] = told
    assert (topic, key) == ("alert-facts", "DQ-10/wms/codes.alias18")
    assert finding["recipient"] == "WMS owner"
    assert reason in finding["detail"]
    assert finding["last_event"] == "order-pushes/created/DB1"


@pytest.mark.rule("DQ-10")
def test_what_has_one_receiver_is_not_sent_at_all_if_that_would_not_take_it() -> None:
    request = {"request_id": "r", "at": 5, "alias18": "too short"}
    passed, [(_, key, _)] = data.systems().through(("warehouse-requests", "DB1", request))
    assert (passed, key) == (None, "DQ-10/wms/alias18")
    only = {**PUSH, "targets": ["wms"], "codes": None}
    assert data.systems().through(("order-pushes", "DB1", only))[0] is None


@pytest.mark.rule("DQ-10", "TAX-11")
def test_the_register_knows_how_many_requests_a_system_takes() -> None:
    assert data.systems().per_second("tax") == 5
    assert data.systems().per_second("wms") is None
    assert data.systems().per_second("nobody") is None


@pytest.mark.rule("DQ-10")
@pytest.mark.parametrize(
    ("demand", "good", "bad"),
    [
        (Demand(most=3), "abc", "abcd"),
        (Demand(length=3), "abc", "ab"),
        (Demand(charset="[0-9]"), "012", "01x"),
        (Demand(encoding="gb2312"), "杯", "龘"),
        (Demand(length=3), 123, 1234),
    ],
)
def test_each_demand_has_two_sides(demand: Demand, good: Any, bad: Any) -> None:
    assert demand.breach(good) is None
    assert demand.breach(bad) is not None


@pytest.mark.rule("DQ-10")
def test_every_item_of_a_list_is_looked_at() -> None:
    register = Register.parse(document(fields={"order-pushes": {"lines.*.sku": {"charset": "[A-Z]"}}}))
    assert [breach.field for breach in register.check("wms", "order-pushes", PUSH)] == ["lines.1.sku"]


@pytest.mark.rule("DQ-10")
@pytest.mark.parametrize("encoding", ["gb2312", "gbk", "big5", "shift_jis", "latin-1", "utf-8", "utf-16"])
def test_an_encoding_can_write_what_is_ascii(encoding: str) -> None:
    text = "".join(map(chr, range(128)))
    assert text.encode(encoding).decode(encoding) == text
    assert Demand(encoding=encoding).breach(text) is None


@pytest.mark.rule("DQ-10")
@pytest.mark.parametrize("codes", [None, "DBASTRABCDEFGHIJKL", [{"alias18": "DBASTRABCDEFGHIJKL"}], {}])
def test_a_field_of_what_is_no_record_is_missing(codes: Any) -> None:
    found = data.systems().check("wms", "order-pushes", {**PUSH, "codes": codes})
    assert [breach.reason for breach in found] == ["is missing"]


@pytest.mark.rule("DQ-10")
@pytest.mark.parametrize(
    "entry",
    [
        {"owner": ""},
        {"found": ""},
        {"per_second": 0},
        {"per_second": True},
        {"more": 1},
        {"fields": {"order-states": {}}},
        {"fields": {"order-pushes": {"a..b": {}}}},
        {"fields": {"order-pushes": {"a": {"length": 0}}}},
        {"fields": {"order-pushes": {"a": {"charset": "(a+)+"}}}},
        {"fields": {"order-pushes": {"a": {"charset": "[z-a]"}}}},
        {"fields": {"order-pushes": {"a": {"encoding": "klingon"}}}},
        {"fields": {"order-pushes": {"a": {"size": 1}}}},
        {"fields": {"order-pushes": {"a": {"required": 1}}}},
    ],
)
def test_an_entry_that_cannot_be_is_refused_by_name(entry: dict[str, Any]) -> None:
    assert Register.parse(document(per_second=5)).per_second("wms") == 5
    with pytest.raises(SystemsError, match=r"wms|Demand"):
        Register.parse(document(**entry))


@pytest.mark.rule("DQ-10")
def test_the_command_shows_the_register_and_checks_records(tmp_path: Path) -> None:
    oms = CliRunner()
    assert "at most 5 requests a second" in oms.invoke(app, ["systems", "show", "tax"]).stdout
    assert json.loads(oms.invoke(app, ["systems", "show", "--json"]).stdout)["wms"]["owner"] == "WMS owner"
    assert oms.invoke(app, ["systems", "show", "sap"]).exit_code == 1
    file = tmp_path / "pushes.jsonl"
    lines = [PUSH, {"key": "DB1", "value": {**PUSH, "codes": {"alias18": "DD20260124008872"}}}]
    file.write_text("\n".join(map(json.dumps, lines)))
    done = oms.invoke(app, ["systems", "check", "wms", "order-pushes", str(file)])
    assert (done.exit_code, done.stdout) == (1, "line 2: codes.alias18 has 16 characters, 18 are demanded\n")
    file.write_text(json.dumps(PUSH))
    assert oms.invoke(app, ["systems", "check", "wms", "order-pushes", str(file)]).exit_code == 0
    file.write_text("[]")
    assert oms.invoke(app, ["systems", "check", "wms", "order-pushes", str(file)]).exit_code == 1
    assert oms.invoke(app, ["systems", "check", "wms", "order-pushes", str(tmp_path / "no")]).exit_code == 2
    file.write_text("\n" + json.dumps(PUSH) + "\n\n")
    assert oms.invoke(app, ["systems", "check", "wms", "order-pushes", str(file)]).exit_code == 0
    done = oms.invoke(app, ["systems", "check", "wms", "orders-pushes", str(file)])
    assert (done.exit_code, "no system is sent orders-pushes" in done.output) == (1, True)
