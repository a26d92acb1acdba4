"""What each system's words mean: the rows the sources give, precedence, and tables that must not load."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from streams.domain.rules import data
from streams.domain.rules.nodes import NODES, STATES
from streams.domain.status_map import (
    _ROW_KEYS,
    OURS,
    TERMINAL_WORDS,
    UNKNOWN,
    MapError,
    StatusMaps,
    is_own_type,
    masked,
    may_be_signed,
    parse,
    speakers,
)
from streams.domain.status_schema import json_schema

MAPS = data.status_maps()


def find(topic: str, source: str, code: str, field: str | None = None, **event: Any) -> dict[str, Any]:
    return MAPS.find(topic, speakers(topic, {"source": source, **event}), field, code)


def meaning(topic: str, source: str, code: str, **event: Any) -> tuple[str | None, str | None]:
    mapped = find(topic, source, code, **event)
    assert mapped["known"]
    return mapped["state"], mapped["node"]


@pytest.mark.rule("ST-03")
def test_completed_at_douyin_means_the_buyer_confirmed() -> None:
    assert meaning("orders", "douyin", "已完成") == ("customer_signed", "customer_signed")
    assert meaning("orders", "shop-crm", "已完成", channel="douyin") == ("customer_signed", "customer_signed")


@pytest.mark.rule("ST-03")
def test_completed_elsewhere_moves_nothing() -> None:
    assert meaning("orders", "some-shop", "已完成") == (None, None)


@pytest.mark.rule("ST-03")
def test_completed_at_douyin_says_nothing_about_its_parcels() -> None:
    assert find("couriers", "zto", "已完成", channel="douyin") == UNKNOWN


@pytest.mark.rule("ST-03")
def test_cainiao_three_is_a_signature_and_another_couriers_three_is_unknown() -> None:
    assert meaning("couriers", "cainiao", "3") == ("logistics_signed", "logistics_signed")
    assert meaning("couriers", "probe", "3", courier="cainiao") == ("logistics_signed", "logistics_signed")
    assert find("couriers", "zto", "3") == UNKNOWN


@pytest.mark.rule("ST-03")
def test_code_201_is_a_pickup_unless_the_courier_has_a_table_of_its_own() -> None:
    assert meaning("couriers", "zto", "201") == ("shipped", "picked_up")
    assert find("couriers", "cainiao", "201") == UNKNOWN
    assert meaning("couriers", "cainiao", "派件中") == ("shipped", "out_for_delivery")


@pytest.mark.rule("ST-03")
def test_a_pickup_callback_201_is_a_pickup_though_the_courier_has_a_table_that_says_otherwise() -> None:
    for courier in ("sf", "顺丰", "kuaidi100", "cainiao", "whoever"):
        mapped = MAPS.find("couriers", (courier, None), "opCode", "201", "picked_up")
        assert (mapped["state"], mapped["node"]) == ("shipped", "picked_up")
    assert meaning("couriers", "sf", "201") == (None, None)
    assert MAPS.find("couriers", ("sf",), None, "201", "scanned") == find("couriers", "sf", "201")


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "name", "code", "state"),
    [
        ("orders", "抖店", "已完成", "customer_signed"),
        ("orders", "抖音", "已完成", "customer_signed"),
        ("orders", "Douyin", "已完成", "customer_signed"),
        ("orders", "微信小程序", "30", "shipped"),
        ("couriers", "菜鸟", "3", "logistics_signed"),
        ("couriers", "顺丰", "50", "shipped"),
        ("couriers", "ZTO", "201", "shipped"),
        ("couriers", "SF Express", "80", "logistics_signed"),
        ("couriers", "J&T", "快件签收", "logistics_signed"),
        ("couriers", "yto-express", "SIGNED", "logistics_signed"),
        ("orders", "JD.com", "LOCKED", "paid"),
        ("orders", "TikTok Shop", "130", "customer_signed"),
        ("couriers", "sf-express", "50", "shipped"),
    ],
)
def test_a_platform_has_its_table_however_its_name_is_spelled(topic: str, name: str, code: str, state: str) -> None:
    assert find(topic, name, code)["state"] == state


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "field", "said", "code"),
    [
        ("couriers", "shopify", None, "delivered", "DELIVERED"),  # as its webhooks say what its API shouts
        ("couriers", "shopify", "status", "attempted_delivery", "ATTEMPTED_DELIVERY"),
        ("orders", "shopify", None, "Fulfilled", "FULFILLED"),
        ("orders", "shopify", "displayFinancialStatus", "partially_refunded", "PARTIALLY_REFUNDED"),
        ("orders", "shopify", "fulfillmentOrderStatus", "closed", "CLOSED"),
        ("orders", "tmall", "refund_status", "closed", "CLOSED"),
        ("orders", "taobao", "trade.status", "trade_finished", "TRADE_FINISHED"),
        ("orders", "jd", None, "locked", "LOCKED"),
        ("orders", "lazada", None, "TOSHIP", "toship"),
        ("couriers", "cainiao", "actionCode", "Gtms_Signed", "GTMS_SIGNED"),
        ("wms", "qimen", None, "delivered", "DELIVERED"),
    ],
)
def test_a_platforms_word_is_the_same_in_other_letters(
    topic: str, source: str, field: str | None, said: str, code: str
) -> None:
    other, known = find(topic, source, said, field), find(topic, source, code, field)
    assert {**other, "field": None} == {**known, "field": None} != UNKNOWN


@pytest.mark.rule("ST-03")
def test_in_other_letters_no_word_becomes_another_or_loses_its_doubt() -> None:
    for (topic, name, field, word), mapped in MAPS._folded.items():
        spelled = {code for where, who, at, code in MAPS._rows if (where, who, at) == (topic, name, field)}
        meant = [MAPS.find(topic, (name,), field, code) for code in spelled if code.casefold() == word]
        assert meant
        assert all({**each, "field": None} == {**mapped, "field": None} for each in meant)
    assert find("orders", "tmall", "closed") == find("orders", "tmall", "订单关闭")  # a word of everybody's
    assert find("orders", "shopify", "FULFILLED")["state"] == "shipped"  # no field named
    assert find("couriers", "amazon", "undeliverable") == UNKNOWN  # two fields, two meanings
    assert find("couriers", "zto", "signed") == UNKNOWN  # the contract's word for a delivery
    assert find("couriers", "zto", "SIGNED")["axis"] == "delivery:left_pickup_point"


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "field", "code", "as_field"),
    [
        ("orders", "amazon", "status", "Unshipped", "OrderStatus"),
        ("orders", "jd", "order_status", "LOCKED", "orderState"),
        ("orders", "tmall", "trade_status", "TRADE_FINISHED", "status"),
        ("orders", "douyin", "aftersale_info.aftersale_status", "28", "standard_aftersale_status"),
        ("couriers", "kuaidi100", "lastResult.state", "3", "state"),
        ("orders", "shopify", "order.financial_status", "partially_refunded", "displayFinancialStatus"),
        ("orders", "shopify", "fulfillment_status", "fulfilled", "displayFulfillmentStatus"),
    ],
)
def test_a_field_has_the_names_that_platforms_give_it(
    topic: str, source: str, field: str, code: str, as_field: str
) -> None:
    named, meant = find(topic, source, code, field), find(topic, source, code, as_field)
    assert meant["known"]
    assert {**named, "field": None} == {**meant, "field": None}


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "name", "code", "state"),
    [
        ("orders", "taobao-shop1", "TRADE_FINISHED", "customer_signed"),
        ("orders", "Douyin_Shop_2", "已完成", "customer_signed"),
        ("orders", "jd-pop-3", "LOCKED", "paid"),
        ("orders", "jd-vc-3", "16", "shipped"),
        ("orders", "拼多多-旗舰店", "2", "shipped"),
        ("wms", "qimen-hz", "DELIVERED", "shipped"),
    ],
)
def test_a_shop_speaks_the_words_of_its_platform(topic: str, name: str, code: str, state: str) -> None:
    assert find(topic, name, code)["state"] == state


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("name", ["sf-freight", "顺丰-同城", "yto.cargo"])
def test_what_begins_with_a_couriers_name_may_be_another_courier(name: str) -> None:
    assert find("couriers", name, "80") == UNKNOWN


@pytest.mark.rule("ST-03")
def test_every_name_of_a_courier_finds_the_table_that_any_of_them_has() -> None:
    named = {name for table in MAPS.tables if "couriers" in table.topics for name in table.names}
    for name, courier in data.logistics().couriers.items():
        if named & {name, *courier.names}:
            assert set(courier.names) <= named


@pytest.mark.rule("ST-03")
def test_cainiao_three_is_a_signature_in_whichever_field() -> None:
    assert find("couriers", "cainiao", "3", "logistics_status_code")["state"] == "logistics_signed"
    assert find("couriers", "zto", "3", "logistics_status_code") == UNKNOWN


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "field", "code", "as_field"),
    [
        ("orders", "jd", "order-state", "LOCKED", "orderState"),
        ("orders", "douyin", "mainStatus", "22", "main_status"),
        ("orders", "tmall", "trade.status", "TRADE_FINISHED", "status"),
        ("orders", "tmall", "refund.status", "SUCCESS", "refund_status"),
        ("orders", "shopex", "orders.pay_status", "1", "pay_status"),
        ("orders", "shopex", "reship.is_check", "7", "is_check"),
        ("couriers", "amazon", "PackageStatus.status", "DELIVERED", "PackageStatus"),
        ("couriers", "amazon", "PACKAGE_STATUS", "PickedUp", "packageStatus"),
        ("couriers", "whoever", "Status", "201", "status"),
    ],
)
def test_a_field_is_the_same_in_another_spelling(topic: str, source: str, field: str, code: str, as_field: str) -> None:
    assert find(topic, source, code, field) == find(topic, source, code, as_field) != UNKNOWN


@pytest.mark.rule("ST-03")
def test_a_field_that_no_table_knows_and_the_wrong_one_say_nothing() -> None:
    assert find("orders", "tmall", "TRADE_CLOSED", "refund.status") == UNKNOWN
    assert find("orders", "pinduoduo", "3", "data[0].order.status") == find("orders", "pinduoduo", "3", "status")
    assert find("orders", "pinduoduo", "3", "after_sale.status") == UNKNOWN
    assert find("orders", "pinduoduo", "3", "order.after_sale.status") == UNKNOWN
    assert find("orders", "tmall", "SUCCESS", "pay_result") == UNKNOWN


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "code", "field"),
    [
        ("couriers", "cainiao", "GTMS_SIGNED", "actionCode"),
        ("couriers", "amazon", "DELIVERED", "currentStatus"),
        ("couriers", "amazon", "EVENT_302", "eventCode"),
        ("couriers", "taobao", "TMS_SIGN", "tms_status"),
        ("orders", "wechat", "MERCHANT_REFUND_SUCCESS", "after_sale_status"),
        ("orders", "shopify", "ON_HOLD", "displayFulfillmentStatus"),
        ("orders", "amazon", "UNSHIPPED", "FulfillmentStatus"),
    ],
)
def test_a_word_of_one_meaning_needs_no_field(topic: str, source: str, code: str, field: str) -> None:
    assert find(topic, source, code) == find(topic, source, code, field) != UNKNOWN


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("topic", "source", "code"),
    [
        ("orders", "shopify", "CLOSED"),  # an order for the goods, or a request for them
        ("couriers", "amazon", "UNDELIVERABLE"),  # not handed over, or lost
        ("orders", "amazon", "CANCELLED"),  # the order, its parcel or its return
        ("orders", "jd", "10"),  # a number: of a refund, or of an order state that is new
        ("orders", "pdd", "10"),
    ],
)
def test_a_word_of_several_meanings_and_a_number_are_nothing_without_their_field(
    topic: str, source: str, code: str
) -> None:
    assert find(topic, source, code) == UNKNOWN


@pytest.mark.rule("ST-03")
def test_a_word_of_ours_is_not_taken_for_one_of_a_field_that_nobody_named() -> None:
    assert find("couriers", "shopify", "PICKED_UP") is OURS["picked_up"]
    assert find("couriers", "shopify", "PICKED_UP", "fulfillmentDisplayStatus")["state"] == "logistics_signed"
    assert find("orders", "amazon", "IN_TRANSIT") is OURS["in_transit"]  # a parcel's, not a return's


@pytest.mark.rule("ST-03")
def test_blanks_around_a_status_are_no_part_of_it() -> None:
    assert find("couriers", "zto", " 签收 ") == find("couriers", "zto", "签收") != UNKNOWN


@pytest.mark.rule("ST-03")
def test_our_own_words_mean_what_they_say_unless_a_table_says_otherwise() -> None:
    assert meaning("couriers", "zto", "in_transit") == ("shipped", "in_transit")
    assert meaning("orders", "douyin", "Shipped", field="anything") == ("shipped", "shipped")
    assert find("couriers", "zto", "on_its_way") == UNKNOWN
    assert set(OURS) == {node.name for node in NODES} >= set(STATES)
    row = {"code": "in_transit", "not_status": "a search term"}
    own = parse("own", table(row, names=["own"], topics=["couriers"]))
    assert StatusMaps([own, *MAPS.tables]).find("couriers", ("own",), None, "in_transit")["state"] is None
    assert is_own_type("signed", " SIGNED ")
    assert not is_own_type("scanned", "signed")


@pytest.mark.rule("LOG-05")
@pytest.mark.parametrize("word", TERMINAL_WORDS)
@pytest.mark.parametrize("field", [None, "status", "some_other_field"])
def test_each_of_the_twelve_words_ends_a_delivery(word: str, field: str | None) -> None:
    assert find("couriers", "zto", word, field)["state"] == "logistics_signed"


@pytest.mark.rule("LOG-05")
@pytest.mark.parametrize("word", ["拒收", "未签收", "签收失败"])
def test_words_of_refusal_are_no_signature(word: str) -> None:
    assert find("couriers", "zto", word) == UNKNOWN


@pytest.mark.rule("ST-03", "LOG-05")
@pytest.mark.parametrize(
    ("word", "axis"),
    [
        ("问题件", "delivery:problem"),
        ("退回", "return:in_transit"),
    ],
)
def test_everyday_words_of_a_parcel_that_does_not_arrive_are_known_of_any_courier(word: str, axis: str) -> None:
    for courier in ("sf", "ems", "yto"):
        found = find("couriers", courier, word)
        assert (found["known"], found["state"], found["axis"]) == (True, None, axis)


@pytest.mark.rule("ST-04")
def test_shipped_means_posted_loaded_or_picked_up_by_who_says_it() -> None:
    assert find("orders", "erp", "已发货")["axis"] == "erp:posted"
    assert meaning("orders", "erp", "已发货") == (None, None)
    assert meaning("wms", "wms-hz", "已发货") == ("shipped", "loaded")
    assert meaning("couriers", "zto", "已发货") == ("shipped", "picked_up")


@pytest.mark.rule("ST-04")
def test_packed_moves_the_fine_node_and_loaded_ships() -> None:
    assert meaning("wms", "wms-hz", "PACKED") == ("paid", "packed")
    assert meaning("wms", "wms-hz", "LOADED") == ("shipped", "loaded")


VOCABULARY = {
    "orders": (
        *(
            "待支付",
            "待付款",
            "已支付",
            "已付款",
            "已发货",
            "物流签收",
            "客户签收",
            "结算完成",
            "已完成",
            "待出库",
            "待打单",
        ),
        *(
            "面单打印中",
            "已打单",
            "风控审核中",
            "仓库拣货中",
            "待确认",
            "待确认收入",
            "accrual_ready",
            "on_the_way",
            "订单关闭",
        ),
        *("已冲红", "缺货", "无库存", "支付失败", "success", "模板渲染失败"),
    ),
    "wms": ("PACKED", "LOADED", "待打单", "面单打印中", "已打单", "仓库拣货中", "模板渲染失败"),
    "couriers": ("已揽收", "201", "中转中心滞留", "中转滞留", "派送中", "派件中", "已签收", "门卫代收"),
}


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(("topic", "code"), [(topic, code) for topic, codes in VOCABULARY.items() for code in codes])
def test_the_whole_status_vocabulary_is_known(topic: str, code: str) -> None:
    assert find(topic, "whoever", code)["known"]


@pytest.mark.rule("ST-03", "LOG-05")
@pytest.mark.parametrize(
    ("topic", "source", "chinese", "english"),
    [
        ("couriers", "whoever", "本人签收", "signed_by_self"),
        ("couriers", "cainiao", "他人代签", "signed_by_other"),
        ("couriers", "yto", "门卫代收", "received_by_gatekeeper"),
        ("orders", "douyin", "已完成", "completed"),
        ("orders", "some-shop", "已完成", "completed"),
        ("orders", "tmall", "已签收", "signed"),
        ("orders", "tmall", "订单关闭", "closed"),
        ("orders", "jd", "待确认收入", "revenue_pending"),
        ("orders", "jd", "已冲红", "red_reversed"),
        ("orders", "jd", "缺货", "out_of_stock"),
        ("orders", "jd", "支付失败", "payment_failed"),
        ("orders", "erp", "待处理", "pending_processing"),
        ("wms", "wms-hz", "无库存", "out_of_stock"),
        ("wms", "wms-hz", "模板渲染失败", "template_render_failed"),
    ],
)
def test_the_english_terms_of_the_vocabulary_mean_what_the_chinese_do(
    topic: str, source: str, chinese: str, english: str
) -> None:
    assert find(topic, source, english) == find(topic, source, chinese) != UNKNOWN


@pytest.mark.rule("ST-03")
def test_pending_processing_is_an_erp_word() -> None:
    assert find("orders", "erp", "待处理")["axis"] == "erp:pending_processing"


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize(
    ("code", "state", "flags"),
    [
        ("created", "pending_payment", []),
        ("approved", "paid", []),
        ("invoiced", "paid", []),
        ("processing", "paid", []),
        ("shipped", "shipped", []),
        ("delivered", "logistics_signed", []),
        ("canceled", None, ["closed"]),
        ("unavailable", None, ["closed"]),
    ],
)
def test_the_olist_vocabulary(code: str, state: str | None, flags: list[str]) -> None:
    mapped = find("orders", "olist", code)
    assert (mapped["known"], mapped["state"], mapped["flags"]) == (True, state, flags)


@pytest.mark.rule("ST-03")
def test_the_tmall_vocabulary_keeps_money_and_shipping_on_axes() -> None:
    assert meaning("orders", "tmall", "WAIT_SELLER_SEND_GOODS") == ("paid", "paid")
    assert find("orders", "tmall", "PAID_FORBID_CONSIGN")["axis"] == "ship:forbidden"
    assert find("orders", "taobao", "SUCCESS")["axis"] == "refund:success"
    assert find("orders", "taobao", "SUCCESS", "refund_status")["event"] == "refunded"
    assert find("orders", "taobao", "SUCCESS", "status") == UNKNOWN
    assert find("orders", "tmall", "TRADE_FINISHED")["state"] == "customer_signed"
    assert find("orders", "other", "TRADE_FINISHED") == UNKNOWN


@pytest.mark.rule("ST-03")
def test_an_unknown_word_has_no_meaning_at_all() -> None:
    assert find("orders", "douyin", "10500") == {**UNKNOWN, "known": False}


def test_an_alert_never_carries_a_long_number() -> None:
    assert masked("他人代签 13800138000\n王") == "他人代签 # 王"
    assert masked("TRADE_CLOSED") == "TRADE_CLOSED"
    assert len(masked("x" * 999)) == 64


def table(*rows: dict[str, Any], **head: Any) -> Any:
    return {
        "version": 1,
        "topics": ["orders"],
        "names": ["x"],
        "default_fields": ["status"],
        "rows": list(rows),
        **head,
    }


@pytest.mark.rule("OTH-08")
@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        ([], "not a record"),
        (table({"code": "a"}, row=1), "unknown entry row"),
        (table(), "no rows"),
        (table({"code": "a"}, version=0), "version"),
        (table({"code": "a"}, topics=["payments"]), "carries no raw_status"),
        (table({"code": "a"}, names=[]), "names"),
        (table({"state": "paid"}), "row 1 has no code"),
        (table({"code": "a", "state": "teleported"}), "row 1 maps to an unknown state"),
        (table({"code": "a", "state": "paid", "node": "loaded"}), "row 1 maps to a node"),
        (table({"code": "a", "node": "paid"}), "row 1 maps to a node"),
        (table({"code": "a"}, {"code": "b", "flags": ["odd"]}), "row 2 maps to an unknown flag"),
        (table({"code": "a", "event": "lost"}), "row 1 maps to an unknown event"),
        (table({"code": "a", "axis": "refund"}), "row 1 has an axis"),
        (table({"code": "a", "stat": "paid"}), "row 1 has an unknown entry stat"),
        (table({"code": "a", "field": ""}), "row 1 has a field that is no word"),
        (table({"code": "a", "topics": ["wms"]}), "row 1 has a topic that is not one of its table's"),
        (table({"code": "a", "topics": []}), "row 1 has a topic"),
        (table({"code": "a", "not_status": " "}), "row 1 does not say why"),
        (table({"code": "a", "not_status": None}), "row 1 does not say why"),
        (table({"code": "a", "not_status": "why", "state": "paid"}), "row 1 is no order status and yet"),
        (table({"code": "a", "not_status": "why", "flags": ["closed"]}), "row 1 is no order status and yet"),
    ],
)
def test_a_table_that_cannot_be_applied_as_written_does_not_load(document: Any, wrong: str) -> None:
    with pytest.raises(MapError, match=wrong):
        parse("t", document)


@pytest.mark.rule("OTH-08")
@pytest.mark.parametrize(
    "rows",
    [
        [{"code": "a"}, {"code": "a", "state": "paid"}],
        [{"code": "a"}, {"code": "a", "field": "status"}],
        [{"code": "a", "field": "status"}, {"code": "a", "field": "refund"}],
    ],
)
def test_two_meanings_for_one_word_do_not_load(rows: list[dict[str, Any]]) -> None:
    with pytest.raises(MapError, match="stands twice"):
        StatusMaps([parse("t", table(*rows, default_fields=["status", "refund"]))])


@pytest.mark.rule("LOG-05")
def test_a_courier_whose_signature_is_mapped_elsewhere_does_not_load() -> None:
    words = parse("any", json.loads((data.FOLDER / "status" / "any-courier.json").read_text(encoding="utf-8")))
    StatusMaps([words])
    odd = parse("odd", table({"code": "门卫代收", "state": "shipped"}, topics=["couriers"]))
    with pytest.raises(MapError, match="must end the delivery"):
        StatusMaps([words, odd])
    with pytest.raises(MapError, match="must end the delivery"):
        StatusMaps([parse("few", table({"code": "已签收"}, topics=["couriers"]))])


@pytest.mark.rule("ST-03")
@pytest.mark.parametrize("head", [{"names": ["zto"]}, {"names": ["*"], "field": None}])
def test_a_row_of_one_event_type_is_for_all_names_and_fields(head: dict[str, Any]) -> None:
    row = {"event_type": "picked_up", "code": "201", "field": head.get("field", "*")}
    with pytest.raises(MapError, match="row 1 is of one event type"):
        parse("t", table(row, names=head["names"]))


@pytest.mark.rule("OTH-08")
def test_the_schema_allows_exactly_what_a_table_may_hold() -> None:
    schema = json_schema()
    row = schema["properties"]["rows"]["items"]
    assert set(row["properties"]) == _ROW_KEYS
    assert row["properties"]["state"]["enum"] == [*STATES, None]
    assert {"version", "topics", "names", "default_fields", "rows"} == set(schema["required"])


@pytest.mark.rule("OTH-08")
def test_every_table_is_valid_by_the_schema_and_a_wrong_one_is_not() -> None:
    validator = Draft202012Validator(json_schema())
    for path in sorted((data.FOLDER / "status").glob("*.json")):
        assert validator.is_valid(json.loads(path.read_text(encoding="utf-8"))), path.name
    assert not validator.is_valid(table({"code": "a", "state": "teleported"}))
    assert not validator.is_valid(table())


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{", encoding="utf-8")
    with pytest.raises(MapError, match=r"bad\.json cannot be read"):
        data.status_maps(tmp_path)


def test_every_row_of_every_table_is_found() -> None:
    for rows in MAPS.tables:
        for topic in rows.topics:
            for name in rows.names:
                for row in (row for row in rows.rows if topic in row.topics):
                    field = row.field if row.field != "*" else "any"
                    found = MAPS.find(topic, (name,), field, row.code, row.event_type)
                    assert {key: value for key, value in found.items() if key != "field"} == row.mapped


def test_the_fine_nodes_are_those_of_the_state_machine() -> None:
    used = {row.mapped["node"] for rows in MAPS.tables for row in rows.rows} - {None}
    assert used <= {node.name for node in NODES}


@pytest.mark.rule("ST-01", "ST-02", "ST-03")
def test_a_node_is_known_by_its_chinese_name_from_all_whose_word_moves_an_order_there() -> None:
    """But for "shipped", which means something else to each of them (ST-04), and what they call awaiting_confirm."""
    named = [
        (node, topic, find(topic, "anybody", node.label))
        for node in NODES
        for topic in node.told_by
        if topic in ("orders", "wms", "couriers") and node.name not in ("shipped", "awaiting_confirm")
    ]
    assert len(named) > 20
    wrong = [(node.name, topic) for node, topic, found in named if not found["known"] or found["node"] != node.name]
    assert wrong == []


@pytest.mark.rule("LOG-05")
def test_what_is_likely_a_signature_agrees_with_every_courier_word_that_is_known() -> None:
    """No known word that is none counts as one, and of those that are one nearly all do."""
    ends: dict[bool, list[str]] = {True: [], False: []}
    for table in MAPS.tables:
        for row in table.rows:
            if "couriers" in row.topics and ("签" in row.code or "收" in row.code):
                ends[row.mapped["state"] == "logistics_signed"].append(row.code)
    assert [word for word in ends[False] if may_be_signed("couriers", word)] == []
    assert [word for word in ends[True] if not may_be_signed("couriers", word)] == []
    assert len(ends[True]) > 15
    assert len(ends[False]) > 5


@pytest.mark.rule("LOG-05")
@pytest.mark.parametrize(
    ("word", "likely"),
    [
        *(
            (word, True)
            for word in ("放门口代签", "已代签收", "签收成功", "收货成功", "车库代收", "投柜或站签收", "整车签收")
        ),
        *(
            (word, False)
            for word in ("拒收", "拒签", "未签收", "超时未签收", "待签收", "等待确认收货", "退签", "退回签收")
        ),
        *((word, False) for word in ("签收失败", "签收异常", "无人签收", "收件人拒绝签收", "部分签收", "虚假签收")),
        *((word, False) for word in ("揽收", "揽收成功", "揽收失败", "KC揽收", "上门收件", "二程接驳收件", "集收入库")),
        *((word, False) for word in ("第三方代收快递员取出", "代收入库", "无法联系收货人", "在官网可查看签收人信息")),
        *((word, False) for word in ("签单返还", "电子面单已签发", "派件中", "放门口")),
    ],
)
def test_a_word_with_a_sign_of_signing_counts_unless_it_denies_it(word: str, likely: bool) -> None:
    assert may_be_signed("couriers", word) is likely
    assert not may_be_signed("orders", word), "a shop front signs for no parcel"


@pytest.mark.rule("ST-03")
def test_other_tables_have_another_digest() -> None:
    tables = dict(data.status_tables(data.STATUS))
    zto = tables["zto"]
    more = dataclasses.replace(zto, rows=(*zto.rows, dataclasses.replace(zto.rows[0], code="放门口鞋柜")))
    assert StatusMaps(tables.values()).digest == StatusMaps(reversed([*tables.values()])).digest
    assert StatusMaps({**tables, "zto": more}.values()).digest != StatusMaps(tables.values()).digest
