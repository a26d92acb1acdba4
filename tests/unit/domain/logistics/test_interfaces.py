"""LOG-07: whitelist and callback of a courier's back-office against what we run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.domain import logistics as rules
from streams.domain.inventory import references
from streams.domain.logistics.interfaces import findings, step
from streams.domain.rules import data

OURS: dict[str, Any] = {"exit_ips": ["203.0.113.7", "203.0.113.8"], "expected_callback": "https://oms.shop.cn/couriers"}
RETIRED = ("test-old.shop.cn", "localhost")


@pytest.mark.rule("LOG-07")
@pytest.mark.parametrize(
    ("held", "found"),
    [
        ({"whitelist": ["203.0.113.7", "203.0.113.8"]}, []),
        ({"whitelist": ["203.0.113.0/24"]}, []),
        ({"whitelist": ["203.0.113.0/29"]}, ["1 of 2 exit addresses are not in its whitelist"]),
        ({"whitelist": []}, ["2 of 2 exit addresses are not in its whitelist"]),
        ({"whitelist": ["2001:db8::/32"]}, ["2 of 2 exit addresses are not in its whitelist"]),
        ({}, []),
        ({"callback": "https://OMS.shop.cn/couriers/"}, []),
        ({"callback": ""}, ["it has no callback URL"]),
        ({"callback": "https://test-old.shop.cn/couriers"}, ["goes to test-old.shop.cn, of the retired domain"]),
        ({"callback": "https://a.test-old.shop.cn/c"}, ["of the retired domain test-old.shop.cn"]),
        ({"callback": "http://localhost:8080/couriers"}, ["of the retired domain localhost"]),
        ({"callback": "https://not-test-old.shop.cn/couriers"}, ["we listen at oms.shop.cn"]),
        ({"callback": "http://oms.shop.cn/couriers"}, ["we listen at oms.shop.cn"]),
        ({"callback": "https://oms.shop.cn/other"}, ["we listen at oms.shop.cn"]),
        ({"callback": "https://x.cn/c", "retired_domains": ["cn"]}, ["of the retired domain cn"]),
    ],
)
def test_a_back_office_is_compared_with_what_we_run(held: dict[str, Any], found: list[str]) -> None:
    said = findings({**OURS, **held}, RETIRED)
    assert len(said) == len(found)
    assert all(part in whole for part, whole in zip(found, said, strict=True)), said
    assert not any("203.0.113" in text for text in said)


@pytest.mark.rule("LOG-07")
def test_the_alert_opens_closes_when_it_is_put_right_and_an_old_report_says_nothing() -> None:
    settings, sent = data.logistics(), []
    row: Any = None
    for at, callback in ((10, "https://x.test/c"), (30, "https://oms.shop.cn/couriers"), (20, "https://x.test/c")):
        row, sends = step(row, "zto", {**OURS, "at": at, "callback": callback}, settings)
        sent += [(key, value["do"], value["at"]) for _, key, value in sends]
        row, _ = rules.called(
            row, "zto", {"do": "probe", "waybill_no": "W", "order_guid": "G", "attempt": 0, "at": at}, settings
        )
    assert sent == [("LOG-07/zto/interface", "open", 10), ("LOG-07/zto/interface", "close", 30)]
    assert row["calls"] == 3


@pytest.mark.rule("LOG-07")
@pytest.mark.parametrize(
    ("value", "wrong"),
    [
        ({}, "no courier"),
        ({"courier": "zto", "whitelist": "203.0.113.7"}, "whitelist that is not a list"),
        ({"courier": "zto", "whitelist": ["203.0.113"]}, "whitelist that has an entry that is no address"),
        ({"courier": "zto", "exit_ips": ["203.0.113.0/24"]}, "exit_ips that has an entry that is no address"),
        ({"courier": "zto", "callback": "ftp://x"}, "callback that is not a URL"),
        ({"courier": "zto", "callback": "https://[x"}, "callback that is not a URL"),
        ({"courier": "zto", "retired_domains": ["\ud800"]}, "value is not valid Unicode"),
        ({"courier": "zto", "callback": "http://a/\ud800"}, "value is not valid Unicode"),
        ({"courier": "zto", "retired_domains": [1]}, "retired_domains that is not a list"),
    ],
)
def test_a_report_that_cannot_be_read_is_refused_with_the_reason(value: dict[str, Any], wrong: str) -> None:
    fact = {"event_type": "reference_set", "event_time": 1, "value": json.dumps({"kind": "courier_interface", **value})}
    said = references.routes(fact)
    assert isinstance(said, str)
    assert wrong in said


@pytest.mark.rule("LOG-07")
def test_the_command_names_what_is_wrong_and_ends_with_one(tmp_path: Path) -> None:
    path = tmp_path / "couriers.yaml"
    path.write_text(
        "exit_ips: [203.0.113.7]\ncallback: https://oms.shop.cn/c\nretired_domains: [old.shop.cn]\n"
        "couriers:\n  zto: {whitelist: [198.51.100.0/24], callback: 'https://old.shop.cn/c'}\n"
        "  sf: {whitelist: [203.0.113.7], callback: 'https://oms.shop.cn/c'}\n",
        encoding="utf-8",
    )
    result = CliRunner().invoke(app, ["couriers", "check", str(path), "--json"])
    assert result.exit_code == 1
    said = json.loads(result.stdout)
    assert (len(said["zto"]), said["sf"]) == (2, [])
    path.write_text("couriers:\n  sf: {whitelist: [203.0.113.7]}\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["couriers", "check", str(path)]).exit_code == 0
    path.write_text("couriers:\n  sf: {whitelst: [203.0.113.7]}\n", encoding="utf-8")
    assert CliRunner().invoke(app, ["couriers", "check", str(path)]).exit_code == 2
    result = CliRunner().invoke(app, ["couriers", "check", str(tmp_path / "none.yaml")])
    assert (result.exit_code, result.stderr) == (
        2,
        f"oms: cannot read {tmp_path / 'none.yaml'}: No such file or directory\n",
    )
