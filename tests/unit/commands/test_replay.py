"""`oms replay`, and what reads its folder: `oms order --from`, `oms deadletters --from`."""

from __future__ import annotations

import json
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams import topology
from streams.cli import app

ORDER: dict[str, Any] = {
    "event_id": "o-1",
    "event_type": "order_created",
    "event_time": "2026-01-24T10:00:00+08:00",
    "source": "douyin",
    "channel": "douyin",
    "order_no": "6921",
    "platform_txn_no": "4200",
    "customer_id": "c-1",
    "lines": [{"line_no": 1, "sku": "BAG", "name": "福袋", "quantity": 1, "unit_price_minor": 9900, "is_gift": False}],
    "total_minor": 9900,
    "currency": "CNY",
}
PAYMENT = {
    "event_id": "p-1",
    "event_type": "payment_succeeded",
    "event_time": "2026-01-24T10:00:05+08:00",
    "source": "wechatpay",
    "platform_txn_no": "4200",
    "amount_minor": 9900,
    "currency": "CNY",
}


def line(topic: str, value: dict[str, Any], **more: Any) -> str:
    return json.dumps({"topic": topic, "value": value | more}, ensure_ascii=False)


def oms(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def replayed(tmp_path: Path, *lines: str, code: int = 0, options: tuple[object, ...] = ()) -> Path:
    source, out = tmp_path / "in.jsonl", tmp_path / "out"
    source.write_text("\n".join(lines))
    result = oms("replay", source, "--out", out, *options)
    assert result.exit_code == code, result.output
    return out


def rows(out: Path, topic: str) -> list[dict[str, Any]]:
    return [json.loads(text) for text in (out / f"{topic}.jsonl").read_text().splitlines()]


def contents(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir()}


def test_every_output_topic_has_a_file_and_every_value_exactly_its_schemas_fields(tmp_path: Path) -> None:
    out = replayed(tmp_path, line("payments", PAYMENT), line("orders", ORDER))
    reg = topology.load()
    outputs = [topic.name for topic in reg.topics.values() if topic.is_output]
    assert sorted(path.stem for path in out.iterdir()) == sorted(outputs)
    for name in outputs:
        fields = [field["name"] for field in reg.schema(name)["fields"]]
        for row in rows(out, name):
            assert list(row) == ["key", "value"]
            assert list(row["value"]) == fields
    last = rows(out, "order-states")[-1]
    assert last["key"] == last["value"]["order_guid"]
    assert (last["value"]["state"], last["value"]["paid_minor"]) == ("paid", 9900)


def test_the_same_input_gives_the_same_bytes_whatever_the_clock_says(tmp_path: Path) -> None:
    lines = [
        line("orders", ORDER),
        "nonsense",
        line("payments", PAYMENT),
        line("orders", ORDER, event_id="x", lines=[]),
    ]
    first = contents(replayed(tmp_path, *lines, code=1, options=("--received-at", "2026-02-01T00:00:00Z")))
    second = contents(replayed(tmp_path, *lines, code=1))
    assert first == second
    assert first["dead-letters.jsonl"].count(b"\n") == 2


@pytest.mark.rule("DQ-08")
def test_a_line_that_cannot_be_read_is_kept_with_its_place_and_the_replay_goes_on(tmp_path: Path) -> None:
    out = replayed(
        tmp_path,
        line("orders", ORDER),
        '{"topic": "orders", "value": {',
        line("orders", ORDER, total_minor="much"),
        line("orders", ORDER, event_time=1.5),
        line("order-states", {}),
        json.dumps({"topic": "orders", "value": {name: item for name, item in ORDER.items() if name != "event_id"}}),
        line("payments", PAYMENT),
        code=1,
    )
    letters = [row["value"] for row in rows(out, "dead-letters")]
    assert [(letter["topic"], letter["offset"], letter["stage"]) for letter in letters] == [
        ("in.jsonl", 2, "decode"),
        *(("in.jsonl", number, "contract") for number in (3, 4, 5, 6)),
    ]
    assert letters[0]["value"] == '{"topic": "orders", "value": {'
    assert all("much" not in letter["error"] for letter in letters)
    assert rows(out, "order-states")[-1]["value"]["state"] == "paid"


@pytest.mark.rule("DQ-08")
def test_lines_before_the_first_event_are_refused_when_the_story_begins(tmp_path: Path) -> None:
    """Three in a row are an alarm of today: it must not be raised in 1970 and go up to the operations lead at once."""
    out = replayed(tmp_path, "{", "{", "{", line("orders", ORDER), line("payments", PAYMENT), code=1)
    assert {row["value"]["at"] for row in rows(out, "dead-letters")} == {1_769_220_000_000}
    (alert,) = rows(out, "alerts")
    assert (alert["value"]["rule"], alert["value"]["status"], alert["value"]["recipient"]) == (
        "DQ-08",
        "open",
        "tech lead",
    )


def test_the_count_of_unreadable_lines_is_told(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text("x\n" + line("orders", ORDER))
    result = oms("replay", tmp_path / "in.jsonl", "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    summary = json.loads(result.stdout)
    assert (summary["lines"], summary["unreadable"], summary["records"]["dead-letters"]) == (2, 1, 1)


def test_a_story_may_go_on_into_the_future_and_does_not_begin_there(tmp_path: Path) -> None:
    now = time.time_ns() // 1_000_000
    ahead = now + 300 * 86_400_000
    alone = replayed(tmp_path, line("orders", ORDER, event_time=ahead))
    assert [letter["value"]["stage"] for letter in rows(alone, "dead-letters")] == ["contract"]
    out = replayed(tmp_path, line("orders", ORDER, event_time=now), line("payments", PAYMENT, event_time=ahead))
    assert rows(out, "dead-letters") == []
    assert rows(out, "order-states")[-1]["value"]["entered_at"]["paid"] == ahead


def test_an_event_more_than_two_years_after_all_before_it_is_refused_and_moves_no_clock(tmp_path: Path) -> None:
    start, day = time.time_ns() // 1_000_000, 86_400_000
    within, beyond = start + 731 * day, start + 731 * day + 1
    odd = line("payments", PAYMENT, event_id="odd", event_time=beyond)
    paid = line("payments", PAYMENT, event_time=start + 1)
    out = replayed(tmp_path, line("orders", ORDER, event_time=start), odd, paid)
    (letter,) = rows(out, "dead-letters")
    assert (letter["value"]["stage"], letter["value"]["topic"]) == ("contract", "payments")
    assert rows(out, "order-states")[-1]["value"]["state"] == "paid"
    assert max(row["value"]["at"] for row in rows(out, "audit-log")) < start + day
    late = replayed(
        tmp_path, line("orders", ORDER, event_time=start), line("payments", PAYMENT, event_id="odd", event_time=within)
    )
    assert rows(late, "dead-letters") == []


def test_an_event_over_a_day_ahead_of_its_arrival_is_refused(tmp_path: Path) -> None:
    late = ("--received-at", "2026-01-25T10:00:00+08:00")
    early = ("--received-at", "2026-01-23T09:59:59+08:00")
    assert rows(replayed(tmp_path, line("orders", ORDER), options=late), "dead-letters") == []
    (letter,) = rows(replayed(tmp_path, line("orders", ORDER), options=early), "dead-letters")
    assert letter["value"]["stage"] == "contract"


@pytest.mark.rule("BRK-01")
@pytest.mark.parametrize("seconds", [1, 10, 40, 65, 100])
def test_what_is_due_by_the_time_of_a_line_is_done_by_all_agents_before_it(tmp_path: Path, seconds: int) -> None:
    """Two payments without an order, a good order, one payment more: never three in a row, at whatever pace."""
    start = 1769220000000

    def lost(number: int) -> str:
        at = start + number * seconds * 1_000
        return line(
            "payments", PAYMENT, event_id=f"p-{number}", event_time=at, channel="douyin", platform_txn_no=f"T{number}"
        )

    good = line("orders", ORDER, event_time=start + 2 * seconds * 1_000)
    until = ("--until", start + 3_600_000)
    out = replayed(tmp_path, lost(0), lost(1), good, lost(3), options=until)
    assert [row for row in rows(out, "channel-breaks") if row["value"]["rule"] == "BRK-01"] == []
    out = replayed(tmp_path, good, lost(3), lost(4), lost(5), options=until)
    assert [row["value"]["action"] for row in rows(out, "channel-breaks") if row["value"]["rule"] == "BRK-01"] == [
        "open"
    ]


def test_a_line_that_is_refused_moves_no_time(tmp_path: Path) -> None:
    far = line("orders", ORDER, event_id="x", event_time="2026-01-25T00:00:00+08:00", lines=[])
    out = replayed(
        tmp_path, line("payments", PAYMENT), far, line("orders", ORDER, event_time="2026-01-24T10:00:30+08:00")
    )
    assert rows(out, "alerts") == []
    assert rows(out, "order-states")[-1]["value"]["state"] == "paid"


@pytest.mark.rule("ID-08")
def test_until_moves_event_time_on_so_that_due_timers_fire(tmp_path: Path) -> None:
    without = replayed(tmp_path, line("payments", PAYMENT))
    assert rows(without, "alerts") == []
    until = replayed(tmp_path, line("payments", PAYMENT), options=("--until", "2026-01-24T10:10:00+08:00"))
    assert [row["value"]["rule"] for row in rows(until, "alerts")] == ["ID-08"]
    for same in (1769220600000, "2026-01-24T10:10", "2026-01-24 10:10:00", "2026-01-24T02:10:00Z"):
        assert contents(until) == contents(replayed(tmp_path, line("payments", PAYMENT), options=("--until", same)))


def test_wrong_use_is_one_line_and_exit_2(tmp_path: Path) -> None:
    good = tmp_path / "in.jsonl"
    good.write_text(line("orders", ORDER))
    for arguments in (
        ("replay", tmp_path / "none.jsonl", "--out", tmp_path / "out"),
        ("replay", good, "--out", tmp_path / "out", "--until", "tomorrow"),
        ("replay", good, "--out", tmp_path / "out", "--until", "9999-12-31T00:00:00Z"),
        ("order", "x", "--from", tmp_path),
        ("deadletters", "list", "--from", tmp_path),
        ("deadletters", "replay", "--all", "--from", tmp_path),
    ):
        result = oms(*arguments)
        assert result.exit_code == 2, arguments
        assert result.stderr.startswith("oms: ")
        assert result.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_written_is_one_line_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "in.jsonl").write_text(line("orders", ORDER))
    result = oms("replay", tmp_path / "in.jsonl", "--out", tmp_path / "file" / "out")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1


@pytest.mark.rule("ID-03")
@pytest.mark.parametrize("code", ["6921", "4200", "guid", "alias18"])
def test_an_order_is_shown_by_any_of_its_codes(tmp_path: Path, code: str) -> None:
    out = replayed(tmp_path, line("payments", PAYMENT), line("orders", ORDER))
    state = rows(out, "order-states")[-1]["value"]
    name = {"guid": state["order_guid"], "alias18": state["codes"]["alias18"]}.get(code, code)
    shown = oms("order", name, "--from", out)
    assert shown.exit_code == 0
    for text in (
        state["order_guid"],
        "stands at  paid",
        "99.00 CNY paid of 99.00 CNY",
        "wechatpay",
        "2026-01-24 10:00:05",
    ):
        assert text in shown.stdout
    as_json = json.loads(oms("order", f" {name}\n", "--from", out, "--json").stdout)
    assert as_json["state"] == state
    assert [row["decision"] for row in as_json["audit"]] == ["accepted", "accepted"]


@pytest.mark.rule("INV-06", "INV-07")
def test_an_order_is_shown_with_what_stock_answered(tmp_path: Path) -> None:
    received = {
        "event_id": "w-1",
        "event_type": "stock_received",
        "event_time": ORDER["event_time"],
        "source": "wms-hz",
        "warehouse": "hz",
        "sku": "BAG",
        "quantity": 1,
    }
    two = [{**ORDER["lines"][0], "line_no": number} for number in (1, 2)]
    out = replayed(tmp_path, line("wms", received), line("orders", {**ORDER, "lines": two}))
    state = rows(out, "order-states")[-1]["value"]
    shown = oms("order", state["order_guid"], "--from", out).stdout
    assert "refused: out_of_stock  line 2, 1 of BAG" in shown
    assert "released  line 1, 1 of BAG" in shown


@pytest.mark.rule("ID-06")
def test_a_customers_orders_are_listed_over_all_channels(tmp_path: Path) -> None:
    elsewhere = {**ORDER, "event_id": "o-2", "channel": "taobao", "source": "taobao", "order_no": "77"}
    del elsewhere["platform_txn_no"]
    out = replayed(tmp_path, line("orders", ORDER), line("orders", elsewhere))
    listed = json.loads(oms("order", "c-1", "--from", out, "--json").stdout)
    assert sorted(order["state"]["channel"] for order in listed["orders"]) == ["douyin", "taobao"]


def test_an_unknown_code_is_a_finding(tmp_path: Path) -> None:
    out = replayed(tmp_path, line("orders", ORDER))
    result = oms("order", "692", "--from", out)
    assert result.exit_code == 1
    assert "692" in result.stderr


@pytest.mark.rule("DQ-08")
def test_the_third_line_in_a_row_that_cannot_be_read_raises_an_alarm(tmp_path: Path) -> None:
    bad = ["half a line", line("orders", ORDER, total_minor="much"), "{"]
    out = replayed(tmp_path, *bad[:2], line("orders", ORDER), *bad[1:], code=1)
    assert rows(out, "alerts") == []
    out = replayed(tmp_path, line("orders", ORDER), *bad, line("payments", PAYMENT), bad[0], code=1)
    alerts = [row["value"] for row in rows(out, "alerts")]
    assert [(alert["rule"], alert["status"], alert["count"]) for alert in alerts] == [
        ("DQ-08", "open", 3),
        ("DQ-08", "open", 4),
    ]
    assert (alerts[0]["alert_key"], alerts[0]["recipient"]) == ("DQ-08/in.jsonl", "tech lead")


@pytest.mark.rule("DQ-08")
@pytest.mark.parametrize(
    ("lacks", "told"), [("amount_minor", "needs amount_minor"), ("platform_txn_no", "names no order")]
)
def test_the_third_record_in_a_row_that_breaks_the_contract_raises_the_alarm_too(
    tmp_path: Path, lacks: str, told: str
) -> None:
    """The ghost orders: every payment could be read, and lacked one field."""
    bad = [line("payments", PAYMENT, event_id=f"g-{number}", **{lacks: None}) for number in range(3)]
    good, other = line("payments", PAYMENT), line("payments", PAYMENT, event_id="a-1", source="alipay")
    out = replayed(tmp_path, line("orders", ORDER), *bad[:2], good, bad[2])
    assert [row for row in rows(out, "alerts") if row["value"]["rule"] == "DQ-08"] == []
    out = replayed(tmp_path, line("orders", ORDER), *bad[:1], line("orders", ORDER), bad[1], other, bad[2], good)
    (alert,) = [row["value"] for row in rows(out, "alerts") if row["value"]["rule"] == "DQ-08"]
    assert (alert["alert_key"], alert["count"], alert["recipient"]) == ("DQ-08/payments/wechatpay", 3, "tech lead")
    assert told in alert["detail"]
    assert len(rows(out, "dead-letters")) == 3


@pytest.mark.rule("DQ-08")
def test_where_a_rule_failed_is_shown_when_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("no such rule")

    # The module: the package has the agent itself under its name.
    monkeypatch.setattr(import_module("streams.agents.orders"), "reduce", broken)
    out = replayed(tmp_path, line("orders", ORDER))
    plain = oms("deadletters", "list", "--from", out).stdout
    told = oms("deadletters", "list", "--from", out, "--traceback").stdout
    (shown,) = plain.splitlines()
    assert "  rule  orders  " in shown
    assert shown.endswith("KeyError: 'no such rule'")
    assert told.startswith(plain + "    Traceback (most recent call last):\n")
    assert told.endswith("    KeyError: 'no such rule'\n")
    (letter,) = [json.loads(text) for text in oms("deadletters", "list", "--from", out, "--json").stdout.splitlines()]
    assert (letter["agent"], letter["traceback"].splitlines()[-1]) == ("orders", "KeyError: 'no such rule'")
    assert "value" not in letter


@pytest.mark.rule("DQ-08")
def test_dead_letters_of_a_replay_become_input_lines_again(tmp_path: Path) -> None:
    raw = json.dumps({"topic": "payments", "bytes": "AAEC", "key": "K"})
    out = replayed(tmp_path, line("orders", ORDER, lines=[]), raw, "half a line", line("orders", ORDER), code=1)
    listed = oms("deadletters", "list", "--from", out)
    assert listed.stdout.count("\n") == 3
    assert "in.jsonl:-:3  decode  -  " in listed.stdout
    assert "  contract  intake  " in listed.stdout
    assert oms("deadletters", "list", "--from", out, "--agent", "intake").stdout.count("\n") == 2
    again = tmp_path / "again.jsonl"
    assert oms("deadletters", "replay", "--all", "--from", out, "--out", again).exit_code == 0
    first, second, third = again.read_text().splitlines()
    assert json.loads(first)["value"]["event_id"] == "o-1"
    assert json.loads(second) == {"topic": "payments", "key": "K", "bytes": "AAEC"}
    assert third == "half a line"
    one = tmp_path / "one.jsonl"
    assert oms("deadletters", "replay", "--topic", "payments", "--from", out, "--out", one, "--all").exit_code == 0
    assert one.read_text().splitlines() == [second]
    told = oms("deadletters", "replay", "--all", "--from", out, "--out", one, "--json")
    assert json.loads(told.stdout) == {"written": 3, "left": 0}


@pytest.mark.rule("ST-03")
def test_blank_texts_for_what_a_sender_does_not_know_say_nothing(tmp_path: Path) -> None:
    blank = {"raw_status": "", "raw_field": "", "channel": "douyin", "order_no": "6921"}
    signed = {"event_id": "c-1", "event_type": "signed", "event_time": "2026-01-26T10:00:00+08:00", "source": "zto"}
    created, parcel = line("orders", ORDER, **blank), line("couriers", signed, waybill_no="W", **blank)
    out = replayed(tmp_path, created, line("payments", PAYMENT), parcel)
    assert rows(out, "order-states")[-1]["value"]["state"] == "logistics_signed"
    assert not [row for row in rows(out, "alerts") if row["value"]["rule"] == "ST-03"]


@pytest.mark.rule("RSK-02", "INV-05")
def test_orders_of_nobody_in_particular_are_not_of_one_customer(tmp_path: Path) -> None:
    stock: dict[str, Any] = {"event_id": "s", "event_type": "stock_received", "event_time": "2026-01-24T09:00:00+08:00"}
    stock |= {"source": "wms-hz", "sku": "BAG", "warehouse": "hz", "quantity": 1}
    cart = {name: ORDER[name] for name in ("event_time", "source", "channel", "lines")}
    cart |= {"event_id": "c", "event_type": "cart_added", "customer_id": ""}
    out = replayed(tmp_path, line("wms", stock), line("orders", cart), line("orders", ORDER, customer_id=""))
    held = [row["value"] for row in rows(out, "stock-ledger") if row["value"]["pool"] == "held"]
    assert [(row["delta"], row["reason"]) for row in held] == [(1, "reserved")]
    assert rows(out, "order-states")[-1]["value"]["customer_id"] is None


def test_unreadable_lines_of_two_files_of_one_name_are_all_sent_again(tmp_path: Path) -> None:
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(tmp_path / folder / "in.jsonl")
        files[-1].write_text(f"broken in {folder}\n")
    assert oms("replay", *files, "--out", tmp_path / "out").exit_code == 1
    assert oms("deadletters", "replay", "--all", "--from", tmp_path / "out", "--out", tmp_path / "again").exit_code == 0
    assert (tmp_path / "again").read_text().splitlines() == ["broken in a", "broken in b"]


@pytest.mark.parametrize("text", ["x", "[]", '{"key": "a"}', '{"key": "a", "value": null}', '{"key": "N1", "val'])
def test_a_folder_with_a_line_that_is_none_is_one_clear_line(tmp_path: Path, text: str) -> None:
    for name in ("dead-letters", "order-states", "inventory-states", "stock-ledger"):
        (tmp_path / f"{name}.jsonl").write_text(f'{text} "N1"\n')
    for command in (("deadletters", "list"), ("order", "N1"), ("stock", "N1"), ("stock", "check")):
        result = oms(*command, "--from", tmp_path)
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1)
        assert ".jsonl:1: " in result.output


@pytest.mark.rule("DQ-08")
def test_lines_that_cannot_be_read_before_the_first_event_have_its_time(tmp_path: Path) -> None:
    out = replayed(tmp_path, "junk", "junk", "junk", line("orders", ORDER), code=1)
    assert [row["value"]["at"] for row in rows(out, "dead-letters")] == [1769220000000] * 3
    (alarm,) = [row["value"] for row in rows(out, "alerts")]
    assert (alarm["rule"], alarm["count"], alarm["opened_at"]) == ("DQ-08", 3, 1769220000000)


def test_files_in_which_no_event_tells_the_time_lose_no_line(tmp_path: Path) -> None:
    out = replayed(tmp_path, "junk", "junk", "junk", code=1)
    assert [row["value"]["offset"] for row in rows(out, "dead-letters")] == [1, 2, 3]
    assert [row["value"]["count"] for row in rows(out, "alerts")] == [3]


@pytest.mark.parametrize("second", ["none.jsonl", "."])
def test_a_file_that_is_not_there_costs_nothing_of_an_earlier_replay(tmp_path: Path, second: str) -> None:
    out = replayed(tmp_path, line("orders", ORDER))
    before = contents(out)
    result = oms("replay", tmp_path / "in.jsonl", tmp_path / second, "--out", out)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert "cannot read" in result.stderr
    assert contents(out) == before
