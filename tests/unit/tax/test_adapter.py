"""The adapter and the fake tax service: pace, retries, and no invoice twice, whenever it is killed."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.domain.systems import Register
from streams.tax.adapter import Adapter
from streams.tax.fake import FakeTax, serving
from streams.tax.http import HttpService
from streams.tax.metrics import TaxMetrics
from streams.tax.outbox import Outbox
from streams.tax.service import Issued, NotTaken, Rejected, Unknown, Unsure
from tests.unit.tax.desk import NUMBER, T0, Killed, Office, Records, request


@pytest.fixture
def fake() -> FakeTax:
    return FakeTax(per_second=10_000)


@pytest.fixture
def service(fake: FakeTax) -> Iterator[HttpService]:
    with serving(fake) as url:
        yield HttpService(url, timeout_s=2)


@pytest.mark.rule("TAX-08")
def test_a_request_is_issued_and_its_answer_is_an_event(fake: FakeTax, service: HttpService, tmp_path: Path) -> None:
    office = Office(service, tmp_path)
    office.records.say(request(), request("R2", kind="red"))
    office.turn()
    first, second = office.events
    assert (first["event_id"], first["event_type"]) == ("R1/1/invoice_issued", "invoice_issued")
    assert (first["invoice_code"], first["tax_number"], first["reply_to"]) == ("F00000001", NUMBER, "customer/C")
    assert second["invoice_code"] == "R00000002"
    assert office.turn() == 0
    assert fake.issued == {"R1": 1, "R2": 1}


@pytest.mark.rule("TAX-11")
def test_the_sixth_call_in_a_second_waits_the_fifth_does_not(service: HttpService, tmp_path: Path) -> None:
    office = Office(service, tmp_path)
    office.records.say(*(request(f"R{n}") for n in range(12)), request("OTHER", interface="tax-2"))
    assert office.turn() == 6, "five of one interface, and one of another"
    office.now += 999
    assert office.turn() == 0
    office.outbox.close()
    office.open()
    assert office.turn() == 0, "started again within the second"
    office.now += 1
    assert office.turn() == 5
    office.now += 1000
    assert office.turn() == 2


@pytest.mark.rule("TAX-11")
def test_a_service_that_throttles_is_asked_again_and_nothing_is_lost(tmp_path: Path) -> None:
    fake = FakeTax(per_second=2)
    with serving(fake) as url:
        office = Office(HttpService(url), tmp_path)
        fake.clock = lambda: office.now / 1000
        office.records.say(*(request(f"R{n}") for n in range(20)))
        office.until_done()
    assert fake.throttled > 0
    assert set(fake.issued.values()) == {1}
    assert office.named("invoice_issued") == sorted(fake.issued)
    failed = [event["error_code"] for event in office.events if event["event_type"] == "attempt_failed"]
    assert set(failed) == {"throttled"}


def test_waits_grow_after_failures_and_a_service_that_asks_for_time_gets_it(tmp_path: Path) -> None:
    class Closed:
        def __init__(self) -> None:
            self.asked: list[int] = []
            self.after_ms: int | None = None

        def issue(self, request: Any) -> NotTaken:
            self.asked.append((office.now - T0) // 1000)
            return NotTaken("closed", after_ms=self.after_ms)

        red = issue

        def status(self, request: Any) -> Unknown:
            return Unknown()

    closed = Closed()
    office = Office(closed, tmp_path)
    office.records.say(request())
    for _ in range(20):
        office.turn()
        office.now += 1000
    assert closed.asked == [0, 1, 3, 7, 15]
    closed.after_ms = 60_000
    for _ in range(200):
        office.turn()
        office.now += 1000
    assert closed.asked[5:] == [31, 91, 155]


@pytest.mark.parametrize(
    ("change", "event", "code"),
    [
        ({"fail_every": 1}, "attempt_failed", "closed"),
        ({"rejected": frozenset({NUMBER})}, "invoice_rejected", "unknown_taxpayer"),
    ],
)
def test_what_fails_is_told_with_its_error(change: Any, event: str, code: str, tmp_path: Path) -> None:
    with serving(FakeTax(**change)) as url:
        office = Office(HttpService(url), tmp_path)
        office.records.say(request())
        office.turn()
    assert [(each["event_type"], each["error_code"], each["attempt"]) for each in office.events] == [(event, code, 1)]


def test_a_call_without_an_answer_is_asked_about_and_not_made_again(tmp_path: Path) -> None:
    fake = FakeTax(per_second=1000, break_every=2, late_every=3, late_s=0.4)
    with serving(fake) as url:
        office = Office(HttpService(url, timeout_s=0.15), tmp_path)
        office.records.say(*(request(f"R{n}") for n in range(6)))
        office.until_done()
    assert set(fake.issued.values()) == {1}
    assert office.named("invoice_issued") == sorted(fake.issued)
    assert {each["error_code"] for each in office.events if each["event_type"] == "attempt_failed"} == {
        "internal",
        "no_answer",
    }


@pytest.mark.rule("TAX-08", "TAX-09")
@pytest.mark.parametrize("seed", range(3))
def test_no_invoice_is_issued_twice_however_often_the_adapter_is_killed(seed: int, tmp_path: Path) -> None:
    """Before a call, between it and its note, between telling and noting that: the fake issues whatever it is sent."""
    chance, deaths = random.Random(seed), 0
    fake = FakeTax(per_second=10_000, fail_every=7, break_every=5)

    def die(odds: float) -> None:
        nonlocal deaths
        if chance.random() < odds:
            deaths += 1
            raise Killed

    def around(call: Callable[[], Any]) -> Any:
        die(0.25)
        answer = call()
        die(0.25)
        return answer

    with serving(fake) as url:
        office = Office(HttpService(url), tmp_path)
        office.around, office.telling = around, lambda: die(0.25)
        names = [f"R{n}" for n in range(20)]
        office.records.say(*(request(name, kind="red" if n % 3 == 0 else "issue") for n, name in enumerate(names)))
        office.until_done()
    assert deaths > 5
    assert fake.issued == dict.fromkeys(names, 1)
    assert office.named("invoice_issued") == sorted(names)
    codes = {(event["request_id"], event["invoice_code"]) for event in office.events if "invoice_code" in event}
    assert len(codes) == len(names), "told again, it is the same"


def test_a_lost_file_has_every_old_request_asked_about_first(
    fake: FakeTax, service: HttpService, tmp_path: Path
) -> None:
    office = Office(service, tmp_path / "one")
    office.records.say(request(), at=T0 - 1)
    office.turn()
    lost = Office(service, tmp_path / "two")
    lost.records = office.records
    lost.open()
    lost.until_done()
    assert fake.issued == {"R1": 1}
    assert lost.named("invoice_issued") == ["R1"]


@pytest.mark.rule("TAX-10")
def test_a_number_that_does_not_fit_its_hash_is_not_sent(fake: FakeTax, service: HttpService, tmp_path: Path) -> None:
    office = Office(service, tmp_path)
    office.records.say(request(tax_number=NUMBER[1:]))
    office.turn()
    assert [(each["event_type"], each["error_code"]) for each in office.events] == [
        ("invoice_rejected", "tax_number_altered")
    ]
    assert not fake.issued


@pytest.mark.rule("DQ-10")
def test_what_the_service_would_not_take_is_not_sent_and_counts_as_rejected(
    fake: FakeTax, service: HttpService, tmp_path: Path
) -> None:
    office = Office(service, tmp_path)
    fields = {"tax-requests": {"buyer_name": {"most": 4, "required": True}, "lines.*.name": {"charset": "[A-Z]"}}}
    tax = {"owner": "o", "found": "f", "fields": fields}
    office.register = Register.parse({"receivers": {"order-pushes": "targets"}, "systems": {"tax": tax}})
    bad = request("R1", buyer_name="云帆有限公司", lines=[{"name": "BAG"}, {"name": "bag"}])
    office.records.say(bad, request("R2", buyer_name="云帆"), request("R3"))
    office.until_done()
    names = ("request_id", "event_type", "error_code", "error")
    assert [tuple(each.get(name) for name in names) for each in office.events] == [
        (
            "R1",
            "invoice_rejected",
            "hidden_contract_broken",
            "the service would not take it: buyer_name has 6 characters, 4 are the most; "
            "lines.1.name holds a character other than [A-Z]",
        ),
        ("R2", "invoice_issued", None, None),
        ("R3", "invoice_rejected", "hidden_contract_broken", "the service would not take it: buyer_name is missing"),
    ]
    assert fake.issued == {"R2": 1}


def test_the_whole_of_it_runs_with_threads_and_ends(fake: FakeTax, service: HttpService, tmp_path: Path) -> None:
    records, events = Records(), list[dict[str, Any]]()
    records.say(*(request(f"R{n}") for n in range(40)))
    outbox = Outbox(tmp_path / "outbox", T0)
    told = threading.Lock()

    def tell(new: Any) -> None:
        with told:
            events.extend(event for _, event in new)

    adapter = Adapter(records, outbox, service, tell, TaxMetrics(), per_second=1000)
    assert adapter.run(once=True) == 0
    outbox.close()
    assert len(events) == 40
    assert set(fake.issued.values()) == {1}


def test_the_answers_of_the_service_are_told_apart(tmp_path: Path) -> None:
    fake = FakeTax(per_second=1000, rejected=frozenset({"X"}))
    with serving(fake) as url:
        service = HttpService(url)
        assert service.status(request()) == Unknown()
        assert isinstance(service.issue(request()), Issued)
        assert isinstance(service.status(request()), Issued)
        assert service.issue(request("R2", tax_number="X")) == Rejected(
            "unknown_taxpayer", "no taxpayer of that number"
        )
        fake.per_second = 0
        assert service.issue(request("R3")) == NotTaken("throttled")
    service = HttpService(url)  # connections that are open outlive the fake
    assert service.issue(request("R4")) == NotTaken("unreachable", "NewConnectionError")
    assert isinstance(service.status(request("R4")), Unsure)
