"""Messages on the wire: what each kind is sent, and what every way of failing is taken for."""

from __future__ import annotations

import email
import email.policy
import socket
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from streams.domain.notify.text import Message
from streams.notify.outbox import Waiting
from streams.notify.requests import TOOK, Outcome, dingtalk_sign, feishu_sign
from streams.notify.senders import Sender
from streams.notify.settings import Target
from tests.unit.notify.desk import SECRETS, T0, alert, robot, settings
from tests.unit.notify.servers import Answer, HttpTarget, SmtpTarget, http_target, smtp_target

MESSAGE = Message("[critical] oversold", '[critical] oversold\n库存 <at user_id="all">')


def about(stage: str = "open", *keys: str) -> list[Waiting]:
    status = "closed" if stage == "closed" else "open"
    return [Waiting(key, 5, stage, "t", alert(key, status), T0, T0, 0) for key in keys or ("INV-11/BAG",)]


def made(entry: dict[str, Any]) -> Target:
    return settings({"t": {"timeout_s": 5, **entry}}).targets["t"]


def send(entry: dict[str, Any], waiting: Sequence[Waiting] = (), now: int = T0) -> Outcome:
    return Sender().send(made(entry), MESSAGE, waiting or about(), now)


@pytest.fixture
def web() -> Iterator[HttpTarget]:
    with http_target() as target:
        yield target


@pytest.fixture
def post() -> Iterator[SmtpTarget]:
    with smtp_target() as target:
        yield target


def test_signatures_are_those_openssl_makes() -> None:
    assert dingtalk_sign("this is secret", 1577262236757) == "hmPWwU+7lVdm3ZZz0r9tSfx0L4Q26jWOZr9+Gs6EZQM="
    assert feishu_sign("demo", 1599360473) == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="


def test_dingtalk_is_signed_in_its_address(web: HttpTarget) -> None:
    assert send(robot(url=web.url, secret={"env": "SIGN"})) == TOOK
    query = parse_qs(urlsplit(web.got[0].path).query)
    assert query == {"access_token": ["t0k3n"], "timestamp": [str(T0)], "sign": [dingtalk_sign("s3cr3t", T0)]}
    assert web.got[0].body == {"msgtype": "text", "text": {"content": MESSAGE.text}}


def test_wecom_has_its_key_in_the_address(web: HttpTarget) -> None:
    assert send(robot("wecom", url=web.url)) == TOOK
    assert web.got[0].path == "/hook?key=t0k3n"
    assert web.got[0].body["text"]["content"] == MESSAGE.text


def test_a_prefix_stands_before_the_message(web: HttpTarget) -> None:
    assert send(robot("wecom", url=web.url, prefix="【OMS】")) == TOOK
    assert web.got[0].body["text"]["content"] == f"【OMS】 {MESSAGE.text}"


def test_feishu_is_signed_in_its_body_and_nobody_can_call_all(web: HttpTarget) -> None:
    assert send(robot("feishu", url=web.url, secret={"env": "SIGN"})) == TOOK
    body = web.got[0].body
    assert web.got[0].path == "/hook/t0k3n"
    assert (body["timestamp"], body["sign"]) == (str(T0 // 1000), feishu_sign("s3cr3t", T0 // 1000))
    assert "<at" not in body["content"]["text"]


@pytest.mark.parametrize("kind", ["dingtalk", "wecom", "feishu"])
def test_a_robot_that_answers_200_with_a_code_did_not_take_it(web: HttpTarget, kind: str) -> None:
    web.answers = [Answer(body={"errcode": 310000, "code": 19021})]
    outcome = send(robot(kind, url=web.url))
    assert (outcome.took, outcome.refused, outcome.after_ms) == (False, False, None)
    web.answers = [Answer(body={"errcode": 45009 if kind == "wecom" else 130101, "code": 9499})]
    assert send(robot(kind, url=web.url)).after_ms == 60_000
    web.answers = [Answer(body=b"<html>proxy</html>")]
    assert not send(robot(kind, url=web.url)).took


@pytest.mark.rule("OTH-05")
@pytest.mark.parametrize(("kind", "code"), [("dingtalk", 430102), ("wecom", 40058)])
def test_a_message_that_a_robot_refuses_for_its_words_says_nothing_of_the_next(
    web: HttpTarget, kind: str, code: int
) -> None:
    web.answers = [Answer(body={"errcode": code})]
    assert send(robot(kind, url=web.url)).refused


@pytest.mark.rule("OTH-05")
@pytest.mark.parametrize("status", [400, 503])
def test_a_number_that_is_refused_keeps_a_message_from_no_other_and_brings_it_to_none_twice(
    web: HttpTarget, status: int
) -> None:
    target, sender = made({"kind": "sms", "url": web.url, "to": ["1", "2", "3"]}), Sender()
    web.answers = [Answer(), Answer(status), Answer()]
    assert sender.send(target, MESSAGE, about(), T0).refused == (status == 400)
    assert sender.send(target, MESSAGE, about(), T0) == TOOK
    assert sorted(got.body["to"] for got in web.got) == ["1", "2", "2", "3"]
    assert sender.send(target, MESSAGE, about("level-1"), T0) == TOOK
    assert [got.body["to"] for got in web.got[4:]] == ["1", "2", "3"]


def test_a_gateway_gets_its_own_form_for_each_number(web: HttpTarget) -> None:
    entry = {
        "kind": "sms", "url": web.url, "to": ["1", {"env": "TOKEN"}], "headers": {"X-Key": {"env": "SIGN"}},
        "body": {"mobile": "$to", "params": ["$text"], "template": 7}, "ok": {"result": "0"},
    }  # fmt: skip
    web.answers = [Answer(body={"result": 0})]
    assert send(entry) == TOOK
    assert [got.body["mobile"] for got in web.got] == ["1", "t0k3n"]
    assert (web.got[0].body["params"], web.got[0].body["template"]) == ([MESSAGE.text], 7)
    assert web.got[0].headers["X-Key"] == "s3cr3t"
    assert web.got[0].headers["Idempotency-Key"] != web.got[1].headers["Idempotency-Key"]
    web.answers = [Answer(body={"result": 12})]
    assert send(entry).refused


def test_a_ticket_and_its_closing(web: HttpTarget) -> None:
    entry = {"kind": "ticket", "url": web.url}
    assert send(entry) == send(entry) == send(entry, about("closed")) == TOOK
    first, second, closing = web.got
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"] == first.body["id"]
    assert closing.headers["Idempotency-Key"] != first.body["id"]
    assert (first.body["action"], closing.body["action"]) == ("open", "close")
    assert first.body["alerts"][0]["alert_key"] == "INV-11/BAG"


@pytest.mark.rule("OTH-05")
def test_alertmanager_gets_alerts_that_start_and_end_when_they_are_closed(web: HttpTarget) -> None:
    entry = {"kind": "alertmanager", "url": web.url}
    web.answers = [Answer(body=b"")]
    assert send(entry, about("open", "a", "b")) == send(entry, about("closed", "a")) == TOOK
    opened, closed = web.got[0].body[0], web.got[1].body[0]
    assert opened["labels"] == closed["labels"] == {"alertname": "INV-11", "alert_key": "a", "severity": "critical"}
    # Without an end Alertmanager ends it after five minutes, open or not.
    assert opened["endsAt"] > "2036"
    assert (opened["startsAt"], closed["endsAt"]) == ("2026-01-21T12:53:15.000+00:00", "2026-01-21T12:53:20.000+00:00")


@pytest.mark.rule("OTH-05")
def test_alertmanager_knows_an_alert_again_whoever_its_last_finding_was_of(web: HttpTarget) -> None:
    web.answers = [Answer(body=b"")]
    for source, channel in (("erp", "jd"), ("pdd", None)):
        waiting = [Waiting("a", 5, "open", "t", alert("a", source=source, channel=channel), T0, T0, 0)]
        assert send({"kind": "alertmanager", "url": web.url}, waiting) == TOOK
    first, second = (got.body[0] for got in web.got)
    assert first["labels"] == second["labels"]
    assert (first["annotations"]["source"], first["annotations"]["channel"]) == ("erp", "jd")


@pytest.mark.parametrize(
    ("status", "refused"),
    [(400, True), (413, True), (404, False), (401, False), (500, False), (503, False), (302, False)],
)
def test_a_status_is_the_messages_fault_or_the_targets(web: HttpTarget, status: int, refused: bool) -> None:
    web.answers = [Answer(status, headers={"Location": web.url})]
    outcome = send({"kind": "ticket", "url": web.url})
    assert (outcome.took, outcome.refused) == (False, refused)
    assert len(web.got) == 1, "no redirect is followed, nothing is tried again here"


def test_retry_after_is_heeded_where_it_is_a_number(web: HttpTarget) -> None:
    for text, after in (("17", 17_000), ("Fri, 31 Dec 2027 23:59:59 GMT", None)):
        web.answers = [Answer(429, headers={"Retry-After": text})]
        assert send({"kind": "ticket", "url": web.url}).after_ms == after


def test_a_target_that_stalls_or_refuses_or_has_no_name_is_away_and_no_secret_is_in_the_words(web: HttpTarget) -> None:
    web.answers = [Answer(stall_s=0.6)]
    assert send(robot(url=web.url, timeout_s=0.2)).why == "timed out"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        outcome = send(robot(url=f"http://127.0.0.1:{port}/x"))
    assert outcome == Outcome(False, "refused the connection")
    assert send(robot(url="http://no.such.name.invalid/x")).why == "no address for its name"
    assert send(robot(url=web.url.replace("http:", "https:"))).why == "its certificate or TLS is not accepted"
    assert not any(secret in outcome.why for secret in SECRETS.values())


MAIL: dict[str, Any] = {
    "kind": "email",
    "from": "oms@shop.example",
    "to": ["a@shop.example", "b@shop.example"],
    "tls": "none",
}


def test_a_mail_has_a_subject_a_text_and_an_id_that_stays(post: SmtpTarget) -> None:
    entry = {**MAIL, "server": post.address}
    assert send(entry) == send(entry) == TOOK
    first, second = (
        email.message_from_string(text, policy=email.policy.default) for text in post.mails
    )  # all of it seven bits
    assert (first["Subject"], first["To"]) == (MESSAGE.title, "a@shop.example, b@shop.example")
    assert first.get_content().splitlines() == MESSAGE.text.splitlines()
    assert first["Message-ID"] == second["Message-ID"]


@pytest.mark.parametrize(
    ("replies", "refused", "said"),
    [
        ({"RCPT": "550 nobody"}, True, "550"),
        ({"RCPT": "451 later"}, False, "451"),
        ({"END": "552 too large"}, True, "552"),
        ({"END": "452 full"}, False, "452"),
        ({"MAIL": "530 log in"}, False, "530"),
    ],
)
def test_a_mail_server_that_says_no(post: SmtpTarget, replies: dict[str, str], refused: bool, said: str) -> None:
    post.replies = replies
    outcome = send({**MAIL, "server": post.address})
    assert (outcome.took, outcome.refused) == (False, refused)
    assert said in outcome.why


def test_a_mail_server_without_the_tls_asked_for_gets_no_mail(post: SmtpTarget) -> None:
    assert not send({**MAIL, "server": post.address, "tls": "starttls"}).took
    assert not post.mails


def test_a_mail_server_that_is_not_there_or_says_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert send({**MAIL, "server": address}).why == "refused the connection"
        silent.listen()
        assert send({**MAIL, "server": address, "timeout_s": 0.2}).why == "timed out"


@pytest.mark.parametrize("body", [{"errcode": []}, {"errcode": {}}, {"errcode": "0"}, {"errcode": None}, {}, [0], 0])
def test_an_answer_that_no_robot_gives_is_a_failure_and_no_crash(web: HttpTarget, body: Any) -> None:
    web.answers = [Answer(body=body)]
    outcome = send(robot(url=web.url))
    assert not outcome.took
    assert not outcome.refused


def test_times_that_no_calendar_has_do_not_stop_a_message(web: HttpTarget) -> None:
    waiting = [Waiting("k", 5, "closed", "t", alert("k", "closed", opened_at=-5, closed_at=2**62), T0, T0, 0)]
    assert send({"kind": "alertmanager", "url": web.url}, waiting) == TOOK
    [entry] = web.got[0].body
    assert (entry["startsAt"][:4], entry["endsAt"][:4]) == ("1970", "9999")
