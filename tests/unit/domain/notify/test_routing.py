"""An alert goes to the targets that serve its words and let it pass, else to the default."""

from __future__ import annotations

from typing import Any

import pytest

from streams.domain.notify.routing import Route, route

pytestmark = pytest.mark.rule("OTH-05")
ALERT = {"rule": "INV-11", "recipient": "stock owner", "severity": "critical"}


def to(*routes: Route, words: tuple[str, ...] = ("dingtalk",), default: str | None = None, **more: Any) -> list[str]:
    return route(routes, {**ALERT, **more}, words, default)


def only(name: str, **filters: frozenset[str]) -> Route:
    return Route(name, frozenset({"dingtalk"}), **filters)


def test_a_target_serves_the_words_it_is_for() -> None:
    both = Route("both", frozenset({"wecom", "dingtalk"}))
    assert to(only("a"), both, Route("sms", frozenset({"sms"}))) == ["a", "both"]
    assert to(both, words=("email",)) == []
    assert to(Route("all", frozenset({"*"})), words=()) == ["all"]


@pytest.mark.parametrize(
    ("name", "passing"), [("rules", "INV-11"), ("recipients", "stock owner"), ("severities", "critical")]
)
def test_a_filter_lets_pass_what_it_names(name: str, passing: str) -> None:
    assert to(only("a", **{name: frozenset({passing})})) == ["a"]
    assert to(only("a", **{name: frozenset({"other"})})) == []


def test_the_default_takes_what_nobody_takes_and_nothing_else() -> None:
    assert to(only("a"), words=("email",), default="mail") == ["mail"]
    assert to(only("a"), default="mail") == ["a"]
