"""ST-05: who may move a state, what happens to everybody else's word; ST-03 for statuses no map knows."""

from __future__ import annotations

from typing import Any

import pytest

from streams.commands.order_view import conflict_sentence
from streams.domain.order import parked, record, sla
from streams.domain.order.meanings import MEANINGS, Meaning, check
from streams.domain.rules import data
from streams.domain.rules.nodes import AUTHORITY, BASE_NODE, NODES, STATES
from tests.unit.domain.order.facts import (
    DAY,
    GUID,
    HOUR,
    MINUTE,
    T0,
    created,
    fact,
    fold,
    mapped,
    paid,
    says,
    step,
    told,
    verdicts,
    view,
)

UNKNOWN = mapped(known=False)


@pytest.mark.rule("ST-05")
@pytest.mark.parametrize("topic", ["orders", "couriers", "wms"])
@pytest.mark.parametrize("state", STATES)
def test_only_the_authority_moves_a_state(topic: str, state: str) -> None:
    node = NODES[BASE_NODE[STATES.index(state)] - 1].name
    order, _ = fold([created()])

    decision = step(order, says(topic, "word", T0 + HOUR, mapped(state, node)))

    allowed = topic in AUTHORITY[state]
    assert (decision.state.reached[STATES.index(state)] is not None) is (allowed or state == "pending_payment")
    assert decision.audit["decision"] == ("accepted" if allowed else "refused")
    assert decision.audit["rule"] == ("ST-03" if allowed else "ST-05")
    assert decision.state.claims[decision.audit["source"]] == ["word", STATES.index(state), HOUR]


@pytest.mark.rule("ST-05")
def test_a_refused_claim_is_kept_audited_and_changes_nothing_else() -> None:
    order, _ = fold([created(), paid()])

    decision = step(order, says("orders", "已发货", T0 + HOUR, mapped("shipped", "shipped")))

    assert (decision.state.rank, decision.state.node, decision.state.updated_at) == (1, 2, MINUTE)
    assert decision.audit["before"] == decision.audit["after"]
    assert decision.audit["reason"] == "orders has no authority for shipped, wms or couriers has: kept as a claim"
    assert decision.changed


@pytest.mark.rule("ST-05")
def test_a_later_event_of_a_lower_rank_fills_in_and_never_turns_back() -> None:
    loaded = fact("wms", "loaded", T0 + 2 * HOUR)
    signed = fact("couriers", "signed", T0 + DAY)

    state, decisions = fold([created(), signed, loaded, paid(T0 + 2 * DAY)])

    assert verdicts(decisions) == ["accepted", "accepted", "filled_in", "filled_in"]
    assert (STATES[state.rank], state.reached[:4]) == (
        "logistics_signed",
        [0, 2 * DAY, 2 * HOUR, DAY],
    )


@pytest.mark.rule("ST-05")
def test_an_older_word_within_a_loop_fills_in_too() -> None:
    out = fact("couriers", "out_for_delivery", T0 + 2 * HOUR)
    scan = fact("couriers", "scanned", T0 + HOUR)

    state, decisions = fold([created(), paid(), out, scan])

    assert (verdicts(decisions)[-1], NODES[state.node - 1].name) == ("filled_in", "out_for_delivery")


@pytest.mark.rule("ST-05")
def test_a_skipped_state_is_flagged_as_a_gap_until_it_is_filled() -> None:
    loaded = fact("wms", "loaded", T0 + HOUR)

    assert view(created(), loaded)["flags"] == ["gap"]
    assert view(created(), loaded, paid())["flags"] == []


@pytest.mark.rule("ST-05")
def test_a_customer_signature_without_the_couriers_is_a_conflict_that_blocks_revenue() -> None:
    events = [created(), paid(), fact("wms", "loaded", T0 + HOUR), fact("orders", "buyer_confirmed", T0 + DAY)]

    before = view(*events)
    after = view(*events, fact("couriers", "signed", T0 + 2 * DAY))

    assert (before["state"], before["flags"]) == ("customer_signed", ["conflict", "gap"])
    assert before["tiers"] == {"base": "LOADED", "business": "received", "finance": "revenue_blocked"}
    assert (after["state"], after["flags"]) == ("customer_signed", [])
    assert after["tiers"] == {"base": "DELIVERED", "business": "received", "finance": "revenue_due"}
    assert conflict_sentence(before).startswith("revenue and invoice are blocked")
    assert conflict_sentence(after) == ""


@pytest.mark.rule("ID-04")
def test_a_code_of_another_order_is_a_conflict_that_blocks_no_revenue() -> None:
    wrong = fact("wms", "_code_rejected", T0 + HOUR, code_kind="waybill_no", code="W", bound_to="G")
    seen = view(created(), paid(), wrong)
    assert (seen["flags"], seen["tiers"]["finance"]) == (["conflict"], "advance_received")
    assert conflict_sentence(seen) == "a code it was told with belongs to another order"


@pytest.mark.rule("FIN-13", "ST-04")
def test_an_order_only_its_customer_calls_delivered_says_how_far_the_parcel_is_and_what_blocks_its_money() -> None:
    events = [created(), paid(), fact("wms", "packed", T0 + HOUR), fact("orders", "buyer_confirmed", T0 + DAY)]
    on_the_way = [*events, fact("wms", "loaded", T0 + 2 * HOUR), fact("couriers", "out_for_delivery", T0 + 3 * HOUR)]
    records = data.node_records()

    packed, carried = record(GUID, fold(events)[0], records), record(GUID, fold(on_the_way)[0], records)
    signed = record(GUID, fold([*on_the_way, fact("couriers", "signed", T0 + 2 * DAY)])[0], records)

    assert (packed["tiers"]["base"], carried["tiers"]["base"]) == ("PACKED", "HANDED_OVER")
    assert packed["expected_next"] == carried["expected_next"] == sla.BLOCKED
    assert (signed["tiers"]["base"], signed["expected_next"]) == ("DELIVERED", "the settlement by finance")


@pytest.mark.rule("ST-05")
@pytest.mark.parametrize(
    ("event", "signs"),
    [
        (fact("orders", "buyer_confirmed", T0 + DAY), True),
        (fact("service", "confirmation_scanned", T0 + DAY), True),
        (fact("service", "confirmation_scanned", T0 + DAY, result="scanned"), True),
        (fact("service", "confirmation_scanned", T0 + DAY, result="damaged"), False),
        (fact("service", "voice_call_result", T0 + DAY, result="confirmed"), True),
        (fact("service", "voice_call_result", T0 + DAY, result="confirmed", ticket_code=f"RSK-07/{GUID}"), False),
        (fact("service", "voice_call_result", T0 + DAY, result="damaged"), False),
        (fact("service", "voice_call_result", T0 + DAY), False),
        (fact("couriers", "signed", T0 + DAY), False),
    ],
)
def test_only_buyer_scan_and_voice_sign_for_the_customer(event: dict[str, object], signs: bool) -> None:
    assert (view(created(), event)["state"] == "customer_signed") is signs


@pytest.mark.rule("ST-05")
def test_the_latest_claim_of_each_source_is_kept_whatever_comes_last() -> None:
    packed = fact("wms", "packed", T0 + HOUR)
    loaded = fact("wms", "loaded", T0 + 2 * HOUR)

    claim = {"wms-hz": {"raw": "loaded", "state": "shipped", "at": T0 + 2 * HOUR}}

    assert view(created(), packed, loaded)["claims"] == claim
    assert view(created(), loaded, packed)["claims"] == claim


@pytest.mark.rule("ST-05")
def test_of_two_claims_at_one_time_the_higher_rank_counts() -> None:
    packed, loaded = fact("wms", "packed", T0 + HOUR), fact("wms", "loaded", T0 + HOUR)

    assert view(created(), packed, loaded)["claims"] == view(created(), loaded, packed)["claims"]
    assert view(created(), packed, loaded)["claims"]["wms-hz"]["raw"] == "loaded"


@pytest.mark.rule("ST-05")
def test_a_failed_payment_shows_as_a_claim_and_takes_nothing_back() -> None:
    seen = view(created(), paid(), fact("payments", "payment_failed", T0 + HOUR))

    assert seen["state"] == "paid"
    assert seen["claims"]["wechatpay"] == {"raw": "payment_failed", "state": "pending_payment", "at": T0 + HOUR}


@pytest.mark.rule("ST-05")
def test_a_channel_may_tell_that_it_reviews_a_paid_order() -> None:
    review = says("orders", "风控审核中", T0 + HOUR, mapped("paid", "risk_review"))

    unpaid, reviewed = view(created(), review), view(created(), review, paid())

    assert (unpaid["state"], unpaid["node"]) == ("pending_payment", "pending_payment")
    assert (reviewed["state"], reviewed["node"]) == ("paid", "risk_review")


@pytest.mark.rule("ST-05")
def test_a_table_that_claims_without_authority_is_refused() -> None:
    for topic, meaning, fault in (
        ("orders", Meaning("ST-01", rank=1, node=2), "no authority"),
        ("orders", Meaning("ST-01", node=13), "does not tell the node"),
        ("wms", Meaning("ST-01", rank=2, node=12), "not one of its state"),
    ):
        with pytest.raises(ValueError, match=fault):
            check({**MEANINGS, (topic, "x"): meaning})


@pytest.mark.rule("ST-03")
def test_a_status_no_map_knows_changes_no_state_and_is_kept() -> None:
    order, _ = fold([created(), paid()])

    decision = step(order, says("couriers", "放门口", T0 + HOUR, UNKNOWN, event_type="signed", raw_field="status"))

    shown = record(GUID, decision.state)
    assert (shown["state"], shown["claims"]["zto"]) == ("paid", {"raw": "放门口", "state": None, "at": T0 + HOUR})
    assert (decision.audit["decision"], decision.audit["rule"]) == ("refused", "ST-03")
    assert decision.audit["reason"] == "mapping_missing: zto, status has no known status '放门口'"
    assert [entry[2:] for entry in decision.state.unmapped] == [["couriers", "zto", "status", "放门口"]]


@pytest.mark.rule("LOG-05")
@pytest.mark.parametrize(
    ("meaning", "state", "flags", "verdict"),
    [
        (mapped("logistics_signed", "logistics_signed"), "logistics_signed", ["gap"], "accepted"),
        (mapped("shipped", "out_for_delivery"), "shipped", [], "accepted"),
        (mapped(axis="parcel:returned"), "paid", [], "accepted"),
    ],
)
def test_a_likely_signature_counts_until_a_table_confirms_it_or_takes_it_back(
    meaning: dict[str, Any], state: str, flags: list[str], verdict: str
) -> None:
    first = says("couriers", "门口代签", T0 + DAY, UNKNOWN, event_type="scanned")
    order, decisions = fold([created(), paid(), first])
    shown = record(GUID, order)
    assert (shown["state"], shown["node"]) == ("logistics_signed", "awaiting_confirm")
    assert shown["flags"] == ["gap", "provisional"]
    assert shown["entered_at"]["logistics_signed"] == shown["node_entered_at"] == T0 + DAY
    assert (decisions[-1].audit["rule"], decisions[-1].audit["decision"]) == ("LOG-05", "accepted")
    assert not decisions[-1].events, "what may be taken back is told to nobody as an event"

    known = step(order, {**first, "mapped": meaning})
    shown = record(GUID, known.state)
    assert (shown["state"], shown["flags"], known.audit["decision"]) == (state, flags, verdict)
    assert [event["event"] for event in known.events] == {"logistics_signed": ["signed"], "shipped": ["shipped"]}.get(
        state, []
    )


@pytest.mark.rule("LOG-05")
def test_a_likely_signature_of_an_order_that_nobody_paid_waits_for_the_payment() -> None:
    signed = says("couriers", "门口代签", T0 + DAY, UNKNOWN, event_type="scanned")
    early, decisions = fold([created(), signed])
    assert (record(GUID, early)["state"], record(GUID, early)["flags"]) == ("pending_payment", [])
    assert decisions[-1].audit["decision"] == "accepted"
    late = step(early, paid()).state
    assert (record(GUID, late)["state"], record(GUID, late)["flags"]) == ("logistics_signed", ["gap", "provisional"])


@pytest.mark.rule("LOG-05")
def test_a_real_state_stands_when_a_likely_signature_is_taken_back() -> None:
    first = says("couriers", "门口代签", T0 + DAY, UNKNOWN, event_type="scanned")
    order, _ = fold([created(), paid(), first, fact("orders", "buyer_confirmed", T0 + 2 * DAY)])
    assert record(GUID, order)["flags"] == ["conflict", "gap", "provisional"]
    shown = record(GUID, step(order, {**first, "mapped": mapped(axis="parcel:returned")}).state)
    assert (shown["state"], shown["flags"]) == ("customer_signed", ["conflict", "gap"])


@pytest.mark.rule("ST-03")
def test_a_hold_ends_with_a_word_of_the_same_field_and_no_other() -> None:
    ship = {**mapped(flags=["locked"]), "field": "ship_status"}
    held = says("orders", "FORBIDDEN", T0 + HOUR, ship, event_type="status_changed")
    paid_for = says("orders", "PAID", T0 + 2 * HOUR, mapped("paid"), event_type="status_changed")
    unknown = says("orders", "?", T0 + 3 * HOUR, UNKNOWN, event_type="status_changed")
    lifted = {**mapped(flags=[]), "field": "ship_status"}
    free = says("orders", "FREE", T0 + 4 * HOUR, lifted, event_type="status_changed")
    for others in ([held, paid_for, unknown], [unknown, paid_for, held]):
        assert record(GUID, fold([created(), paid(), *others])[0])["flags"] == ["locked"]
        assert record(GUID, fold([created(), paid(), free, *others])[0])["flags"] == []
    assert record(GUID, fold([created(), paid(), held, paid_for, unknown])[0])["claims"]["douyin"]["raw"] == "?"


@pytest.mark.rule("ST-03")
def test_a_parked_status_counts_when_it_is_told_again_and_known_by_then() -> None:
    first = says("couriers", "放门口", T0 + DAY, UNKNOWN, event_type="signed")
    again = {**first, "mapped": mapped("logistics_signed", "logistics_signed")}

    state, decisions = fold([created(), paid(), first, first, again, again])

    assert verdicts(decisions)[2:] == ["refused", "duplicate", "accepted", "duplicate"]
    assert (STATES[state.rank], state.unmapped) == ("logistics_signed", [])
    assert state.claims["zto"] == ["放门口", 3, DAY]


@pytest.mark.rule("ST-03")
def test_the_list_of_parked_statuses_is_bounded_and_keeps_the_newest_and_what_counts_as_a_signature() -> None:
    events = [says("couriers", f"?{n}", T0 + n * MINUTE, UNKNOWN) for n in range(parked.MAX_PARKED + 1)]

    state, _ = fold([created(), *events])
    backwards, _ = fold([created(), *reversed(events)])

    assert [entry[5] for entry in state.unmapped] == [f"?{n}" for n in range(1, parked.MAX_PARKED + 1)]
    assert backwards.unmapped == state.unmapped
    signed, _ = fold([created(), says("couriers", "门口代签", T0, UNKNOWN), *events])
    assert [entry[5] for entry in signed.unmapped][:2] == ["门口代签", "?2"]


@pytest.mark.rule("ST-03")
def test_a_courier_word_that_is_no_signature_overrules_the_event_type() -> None:
    refused = says("couriers", "拒收", T0 + DAY, mapped(axis="parcel:refused"), event_type="signed")

    assert view(created(), paid(), refused)["state"] == "paid"


@pytest.mark.rule("ST-03")
def test_a_buyers_confirmation_stands_whatever_its_refund_status() -> None:
    event = says("orders", "NO_REFUND", T0 + DAY, mapped(axis="refund:none"), event_type="buyer_confirmed")

    assert view(created(), event)["state"] == "customer_signed"


@pytest.mark.rule("ST-03")
def test_a_word_on_another_axis_is_no_claim_about_the_state() -> None:
    agree = says("orders", "WAIT_SELLER_AGREE", T0 + DAY, mapped(axis="refund:requested"))

    assert view(created(), agree)["claims"] == {}


@pytest.mark.rule("ST-03")
def test_an_order_exists_even_if_its_first_status_is_unknown_or_refused() -> None:
    for meaning, reason in ((UNKNOWN, "mapping_missing"), (mapped("paid", "paid"), "no authority for paid")):
        decision = step(None, created(raw_status="105", mapped=meaning))

        assert (decision.audit["decision"], decision.audit["before"]) == ("accepted", None)
        assert reason in decision.audit["reason"]
        assert (decision.state.rank, decision.state.version, told([decision])) == (0, 1, [("created", None)])
        assert record(GUID, decision.state)["claims"]["douyin"]["raw"] == "105"
