"""The bundled tables against the codes the platforms and couriers are known to use, and the traps among those codes."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from streams.domain.rules import data
from streams.domain.status_map import OURS, TERMINAL_WORDS, UNKNOWN, Row, speakers

MAPS = data.status_maps()
CODES = Path(__file__).parents[2] / "data" / "status_codes.csv"


class Code(NamedTuple):
    """One code of one field of a platform, and how our events name the two."""

    platform: str
    kind: str
    code: str
    topic: str
    source: str
    field: str


def codes() -> list[Code]:
    with CODES.open(encoding="utf-8", newline="") as file:
        return [Code(**row) for row in csv.DictReader(file)]


def find(topic: str, source: str, code: str, field: str | None = None) -> dict[str, Any]:
    return MAPS.find(topic, speakers(topic, {"source": source}), field, code)


def rows() -> list[tuple[str, Row]]:
    return [(table.name, row) for table in MAPS.tables for row in table.rows]


@pytest.mark.rule("ST-03")
def test_every_published_code_of_every_platform_is_known() -> None:
    published = codes()
    assert len(published) == 1061
    assert len({code.platform for code in published}) == 35
    assert [code for code in published if not find(code.topic, code.source, code.code, code.field)["known"]] == []


@pytest.mark.rule("ST-03")
def test_every_published_code_has_a_meaning_or_a_reason_for_having_none() -> None:
    for name, row in rows():
        if name.startswith("any-"):
            continue
        mapped = row.mapped
        assert row.not_status or mapped["state"] or mapped["flags"] or mapped["axis"], (name, row.code)


@pytest.mark.rule("ST-03")
def test_what_is_no_order_status_moves_nothing() -> None:
    silent = [row for _, row in rows() if row.not_status]
    assert len(silent) > 200
    assert all(row.mapped["known"] for row in silent)
    assert not any(row.mapped["state"] or row.mapped["node"] or row.mapped["flags"] for row in silent)


@pytest.mark.rule("ST-03")
def test_no_code_of_a_platform_means_something_at_another() -> None:
    """The meaning is the table's own: the same code from a source without a table is unknown, or a word of ours."""
    for code in codes():
        if not any("*" in table.names and any(row.code == code.code for row in table.rows) for table in MAPS.tables):
            assert find(code.topic, "whoever", code.code, code.field) == OURS.get(code.code.casefold(), UNKNOWN)


@pytest.mark.rule("LOG-05")
def test_the_words_that_end_a_delivery_are_complete_for_every_courier() -> None:
    couriers = sorted({name for table in MAPS.tables if "couriers" in table.topics for name in table.names})
    assert {"sf", "yto", "zto", "yunda", "sto", "jt", "jdl", "kuaidi100", "kdniao", "cainiao"} <= set(couriers)
    for courier in couriers:
        for word in TERMINAL_WORDS:
            assert find("couriers", courier, word)["state"] == "logistics_signed", (courier, word)


SIGNED = {
    "tmall": ("TMS_SIGN",),
    "rrs": ("TMS_SIGN", "TMS_SIGN_AZ0", "TMS_SIGN_AZ1"),
    "jdl": ("510",),
    "wechat_local": ("302",),
    "cainiao": ("3", "AGENT_SIGN", "GSTA_BUYER_SIGN", "GTMS_SIGNED", "GTMS_STA_SIGNED", "SIGN", "SIGNED", "STA_SIGN"),
    "sf": ("128", "679", "80", "8000", "935", "97"),
    "kuaidi100": ("3", "301", "302", "303", "304"),
    "kdniao": ("3", "301", "302", "304", "311"),
    "yto": ("SIGNED",),
    "zto": ("第三方签收", "签收"),
    "yunda": ("SIGNED",),
    "sto": ("客户签收", "驿站代收"),
    "jt": ("快件签收",),
    "amazon": ("DELIVERED", "Delivered", "EVENT_301", "EVENT_804"),
    "shopify": ("DELIVERED", "PICKED_UP"),
}


@pytest.mark.rule("LOG-05")
def test_exactly_these_codes_end_a_delivery() -> None:
    ends: dict[str, set[str]] = {}
    for table in MAPS.tables:
        if "*" in table.names:
            continue
        for row in table.rows:
            if "couriers" in row.topics and row.mapped["state"] == "logistics_signed":
                ends.setdefault(table.name, set()).add(row.code)
    assert {name: tuple(sorted(found)) for name, found in ends.items()} == {
        n: tuple(sorted(c)) for n, c in SIGNED.items()
    }


def told(topic: str, source: str, code: str, field: str | None = None) -> tuple[str | None, str | None, str | None]:
    mapped = find(topic, source, code, field)
    assert mapped["known"], (source, field, code)
    return mapped["state"], mapped["node"], mapped["axis"]


@pytest.mark.rule("ST-03")
def test_signed_is_a_delivery_at_yto_and_yunda_and_a_parcel_out_of_its_locker_at_zto() -> None:
    assert told("couriers", "yto", "SIGNED")[0] == "logistics_signed"
    assert told("couriers", "yunda", "SIGNED")[0] == "logistics_signed"
    assert told("couriers", "zto", "SIGNED") == ("shipped", "out_for_delivery", "delivery:left_pickup_point")
    assert told("couriers", "zto", "签收")[0] == "logistics_signed"


@pytest.mark.rule("ST-03")
def test_accept_is_a_pickup_at_cainiao_and_the_warehouses_word_at_qimen() -> None:
    assert told("couriers", "cainiao", "ACCEPT")[:2] == ("shipped", "picked_up")
    assert told("wms", "qimen", "ACCEPT")[:2] == ("paid", "warehouse_allocated")
    assert told("wms", "qimen", "DELIVERED")[:2] == ("shipped", "loaded")


@pytest.mark.rule("ST-03")
def test_states_4_and_5_at_kuaidi100_and_at_kdniao() -> None:
    assert told("couriers", "kuaidi100", "4") == (None, None, "return:signed")
    assert told("couriers", "kdniao", "4") == (None, None, "delivery:problem")
    assert told("couriers", "kuaidi100", "5")[:2] == ("shipped", "out_for_delivery")
    assert told("couriers", "kdniao", "5") == ("shipped", "in_transit", "transfer:forwarded")


@pytest.mark.rule("ST-03")
def test_code_201_is_read_by_who_says_it() -> None:
    assert told("couriers", "zto", "201")[1] == "picked_up"
    assert told("couriers", "kuaidi100", "201") == (None, None, "delivery:not_signed_in_time")
    assert told("couriers", "kdniao", "201")[1] == "in_transit"
    assert told("couriers", "sf", "201") == (None, None, "warehouse:picking")


@pytest.mark.rule("ST-03")
def test_three_is_signed_at_pinduoduo_and_shipped_at_douyin() -> None:
    assert told("orders", "pdd", "3", "order_status")[0] == "logistics_signed"
    assert told("orders", "douyin", "3", "order_status")[0] == "shipped"


HOLDS = [
    ("tmall", "status", "PAID_FORBID_CONSIGN", "paid"),
    ("tmall", "fenxiao_status", "PAID_FORBID_CONSIGN", "paid"),
    ("jd", None, "LOCKED", "paid"),
    ("jd", None, "POP_ORDER_PAUSE", "paid"),
    ("jd", None, "PAUSE", "paid"),
    ("douyin", None, "105", "paid"),
    ("pdd", "group_status", "0", None),
    ("aliexpress", None, "RISK_CONTROL", "paid"),
    ("shopify", "displayFulfillmentStatus", "ON_HOLD", None),
    ("shopify", "fulfillmentOrderStatus", "ON_HOLD", None),
    ("tiktok", None, "105", "paid"),
    ("tiktok", None, "ON_HOLD", "paid"),
    ("wechat", None, "13", "paid"),
    ("youzan", None, "WAIT_CONFIRM", "paid"),
]


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(("source", "field", "code", "state"), HOLDS)
def test_paid_is_not_shippable_and_a_hold_is_no_cancellation(
    source: str, field: str | None, code: str, state: str | None
) -> None:
    mapped = find("orders", source, code, field)
    assert (mapped["state"], mapped["axis"], mapped["flags"]) == (state, "ship:forbidden", ["locked"])


@pytest.mark.rule("ST-03")
def test_whatever_must_not_be_shipped_is_locked() -> None:
    held = [(name, row) for name, row in rows() if row.mapped["axis"] == "ship:forbidden"]
    assert len(held) > 15
    assert [(name, row.code) for name, row in held if row.mapped["flags"] != ["locked"]] == []


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("source", "field", "held", "free"),
    [
        ("pdd", "group_status", "0", "1"),
        ("shopify", "displayFulfillmentStatus", "ON_HOLD", "UNFULFILLED"),
        ("shopify", "fulfillmentOrderStatus", "ON_HOLD", "OPEN"),
        ("shopex", "process_status", "is_retrial", "confirmed"),
    ],
)
def test_a_hold_in_a_field_of_its_own_is_lifted_there(source: str, field: str, held: str, free: str) -> None:
    hold, lift = (find("orders", source, code, field) for code in (held, free))
    assert (hold["flags"], lift["flags"]) == (["locked"], [])
    assert hold["field"] == lift["field"] == field


@pytest.mark.rule("ST-03")
def test_goods_of_a_group_that_never_formed_are_not_shipped() -> None:
    assert find("orders", "pdd", "2", "group_status")["flags"] == ["locked"]


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(("source", "code"), [("douyin", "2"), ("tmall", "WAIT_SELLER_SEND_GOODS"), ("tiktok", "111")])
def test_what_may_be_shipped_is_not_locked(source: str, code: str) -> None:
    mapped = find("orders", source, code)
    assert (mapped["state"], mapped["flags"]) == ("paid", [])


@pytest.mark.rule("ST-03")
def test_finish_at_aliexpress_proves_neither_success_nor_cancellation() -> None:
    mapped = find("orders", "aliexpress", "FINISH")
    assert (mapped["state"], mapped["flags"], mapped["event"]) == (None, [], None)
    assert mapped["axis"] == "trade:finished"


@pytest.mark.rule("ST-03")
def test_a_returned_parcel_is_never_in_transit() -> None:
    assert told("couriers", "yto", "TMS_RETURN") == (None, None, "return:in_transit")
    assert find("couriers", "yto", "RETURN") == UNKNOWN
    assert find("couriers", "yto", "REJECT") == UNKNOWN
    returns = [row for _, row in rows() if (row.mapped["axis"] or "").startswith("return:")]
    assert len(returns) > 40
    assert all(row.mapped["state"] is None and row.not_status for row in returns)


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("prefix", ["refund:", "aftersale:", "return:", "query:"])
def test_money_going_back_and_after_sales_are_no_order_states(prefix: str) -> None:
    found = [row for name, row in rows() if (row.mapped["axis"] or "").startswith(prefix)]
    assert found
    assert [row.code for row in found if row.mapped["state"]] == []


@pytest.mark.rule("ST-03")
def test_a_parcel_in_a_locker_is_not_signed_for() -> None:
    waiting = [row for _, row in rows() if row.mapped["axis"] == "delivery:at_pickup_point"]
    assert {"125", "501", "211", "STA_INBOUND", "INBOUND", "ARRIVAL"} <= {row.code for row in waiting}
    assert {row.mapped["node"] for row in waiting} == {"out_for_delivery"}


@pytest.mark.rule("ST-03")
def test_a_parcel_taken_out_of_its_pickup_point_waits_for_a_signature_again() -> None:
    left = [row for _, row in rows() if row.mapped["axis"] == "delivery:left_pickup_point"]
    assert {"126", "418", "OUTBOUND", "SIGNED", "快件取出扫描"} == {row.code for row in left}
    assert {(row.mapped["state"], row.mapped["node"]) for row in left} == {("shipped", "out_for_delivery")}


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("code", ["PU_SIGN_IN_SUCCESS", "SC_SIGN_IN_SUCCESS", "RETURN_SIGN", "REJECT"])
def test_what_others_than_the_buyer_sign_ends_no_delivery(code: str) -> None:
    field = "subLogisticsStatus" if code == "RETURN_SIGN" else "actionCode"
    assert find("couriers", "cainiao", code, field)["state"] in (None, "shipped")


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "field", "code", "correct"),
    [
        ("orders", "tmall", "cod_status", "RECIEVE_TIMEOUT", "RECEIVE_TIMEOUT"),
        ("orders", "wechat", "after_sale_status", "USER_CANCELD", "USER_CANCELED"),
        ("orders", "jd", "orderState", "SEND_TO_DISTRIBUTION_CENER", "SEND_TO_DISTRIBUTION_CENTER"),
        (
            "orders",
            "tmall",
            "fenxiao_status",
            "WAIT_BUYER_CONFIRM_GOODS_ACOUNTED",
            "WAIT_BUYER_CONFIRM_GOODS_ACCOUNTED",
        ),
        ("orders", "shopex", "process_status", "splited", "split"),
    ],
)
def test_codes_are_spelled_as_published(topic: str, source: str, field: str, code: str, correct: str) -> None:
    assert find(topic, source, code, field)["known"]
    assert find(topic, source, correct, field) == UNKNOWN


@pytest.mark.rule("ST-03")
def test_the_two_sides_of_douyins_after_sales_say_the_same_with_other_numbers() -> None:
    request, response = (find("orders", "douyin", code, "standard_aftersale_status") for code in ("13", "3"))
    assert request == response
    assert find("orders", "douyin", "3", "order_status") != response


@pytest.mark.rule("ST-03")
def test_numbers_and_words_of_tiktok_are_one_status() -> None:
    pairs = {"100": "UNPAID", "105": "ON_HOLD", "114": "PARTIALLY_SHIPPING", "122": "DELIVERED", "140": "CANCELLED"}
    for number, word in pairs.items():
        assert find("orders", "tiktok", number) == find("orders", "tiktok", word)


@pytest.mark.rule("ST-03")
def test_completed_at_ebay_is_a_payment_and_closed_at_shopify_a_fulfilment() -> None:
    assert told("orders", "ebay", "COMPLETED")[0] == "paid"
    assert find("orders", "shopify", "CLOSED", "fulfillmentOrderStatus")["flags"] == []


@pytest.mark.rule("ST-03")
def test_the_customers_signature_in_a_couriers_mouth_is_the_couriers() -> None:
    assert told("couriers", "sto", "客户签收")[0] == "logistics_signed"


@pytest.mark.rule("ST-03")
def test_a_shops_parcel_codes_are_not_its_order_codes() -> None:
    assert find("couriers", "amazon", "OUT_FOR_DELIVERY", "currentStatus")["known"]
    assert find("orders", "amazon", "OUT_FOR_DELIVERY", "currentStatus") is OURS["out_for_delivery"]  # as of anybody
    assert find("couriers", "tmall", "TRADE_FINISHED", "status") == UNKNOWN


def test_tables_are_written_one_row_to_a_line() -> None:
    for path in sorted((data.FOLDER / "status").glob("*.json")):
        text = path.read_text(encoding="utf-8")
        assert (
            text.count('"code":')
            == len(json.loads(text)["rows"])
            == sum('"code":' in line for line in text.split("\n"))
        )


@pytest.mark.rule("ST-03", "LOG-05")
@pytest.mark.parametrize(
    ("topic", "source", "word", "state", "node"),
    [
        ("couriers", "ems", "揽收", "shipped", "picked_up"),
        ("couriers", "jd", "已揽件", "shipped", "picked_up"),
        ("couriers", "deppon", "运输中", "shipped", "in_transit"),
        ("couriers", "zto", "配送中", "shipped", "out_for_delivery"),
        ("couriers", "ems", "派件", "shipped", "out_for_delivery"),
        ("couriers", "sf", "签收", "logistics_signed", "logistics_signed"),
        ("couriers", "jd", "妥投", "logistics_signed", "logistics_signed"),
        ("couriers", "ems", "滞留", "shipped", "transit_stalled"),
        ("couriers", "ems", "待取件", "shipped", "out_for_delivery"),
        ("orders", "tmall", "派送中", "shipped", "out_for_delivery"),
        ("orders", "douyin", "运输中", "shipped", "in_transit"),
        ("wms", "wms-hz", "打包完成", "paid", "packed"),
        ("wms", "wms-hz", "拣货中", "paid", "picking"),
        ("wms", "wms-hz", "质检中", "paid", "quality_check"),
        ("orders", "jd", "待发货", "paid", "paid"),
        ("orders", "youzan", "待收货", "shipped", "shipped"),
    ],
)
def test_everyday_words_are_known_whoever_says_them(topic: str, source: str, word: str, state: str, node: str) -> None:
    found = find(topic, source, word)
    assert (found["known"], found["state"], found["node"]) == (True, state, node)


@pytest.mark.rule("FIN-07")
def test_a_closed_trade_is_a_closed_order_in_other_words() -> None:
    assert find("orders", "tmall", "交易关闭")["flags"] == find("orders", "tmall", "订单关闭")["flags"] == ["closed"]
