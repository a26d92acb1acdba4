"""The Tmall report, replayed: what was paid and refunded adds up to what the report says. Its data is not bundled."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from streams import topology
from streams.convert.tmall import convert
from streams.lines import code_of
from tests.scenarios.play import Played, play

ORDERS = 2_000


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    root = (
        Path(os.environ.get("OMS_REFERENCE") or Path(__file__).resolve().parents[3] / "shared") / "data" / "tmall_1111"
    )
    if not root.is_dir():
        pytest.skip("reference data not at hand (set OMS_REFERENCE)")
    return list(convert(root, limit=ORDERS))


@pytest.fixture(scope="module")
def played(events: list[dict[str, Any]]) -> Played:
    codecs = topology.load()
    return play((one["topic"], codecs.encoder(one["topic"])(one["value"]), code_of(one["value"])) for one in events)


@pytest.mark.rule("FIN-07")
def test_every_order_ends_paid_and_refunded_as_the_report_says(events: list[dict[str, Any]], played: Played) -> None:
    rows = {one["value"]["order_no"]: json.loads(one["value"]["raw"]) for one in events}
    assert len(played.states) == len(rows) == ORDERS
    for number, row in rows.items():
        state = played.states[number]
        assert state["state"] == ("paid" if row["订单付款时间"] else "pending_payment")
        kept = state["paid_minor"] - state["refunded_minor"]
        assert f"{kept / 100:.2f}" == f"{float(row['买家实际支付金额']):.2f}"
        assert f"{state['refunded_minor'] / 100:.2f}" == f"{float(row['退款金额']):.2f}"
        money = {"refunded", "partially_refunded"} & set(state["flags"])
        whole = row["退款金额"] == row["总金额"]
        expected = set() if float(row["退款金额"]) == 0 else {"refunded" if whole else "partially_refunded"}
        assert money == expected, number


def test_nothing_of_the_report_is_refused(played: Played) -> None:
    assert not played.dead
    assert set(played.decisions) == {"accepted"}
