"""What is to be told of an alert, given what has been noted of it.

An episode of an alert runs from its opening to its closing. Of each episode every stage - the opening, each level
above, the closing - is told once to each target:

    open       to the alert's targets. Within `quiet_ms` of the last opening told there of the same alert it is held
               until they are over, and dropped if the alert closes meanwhile (OTH-05)
    level-N    to those the level above names
    closed     to those who were told, or were still to be told, of this episode: one message says both then

An alert that names no target, though its rule has some, is for the dashboard (LOG-03): only targets for all are told.

`alerts` is compacted: a reader that was away may see only the last of these. What it did not see is told with what it
sees: of an escalated alert also the opening, of a closed one the closing, if that came after the reader first ran.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from streams.domain.alert import CLOSED, ESCALATED, Policies

from .routing import Route, route

OPENING: Final = "open"
CLOSING: Final = "closed"

PENDING: Final = "pending"
SENT: Final = "sent"
DROPPED: Final = "dropped"
GIVEN_UP: Final = "given_up"


@dataclass(frozen=True, slots=True)
class Noted:
    """One message of an alert, as noted. `at` ms: when it was sent, else when it was made; `held`: by OTH-05."""

    episode: int
    stage: str
    target: str
    state: str
    at: int
    held: bool = False


@dataclass(frozen=True, slots=True)
class New:
    """A message to be sent at `due_at` (ms) or as soon after as the target takes it."""

    stage: str
    target: str
    due_at: int
    held: bool = False


@dataclass(slots=True)
class Plan:
    """`drop`: messages of the episode that are not needed any more. `unrouted`: no target takes the alert."""

    episode: int
    add: list[New] = field(default_factory=list)
    drop: list[Noted] = field(default_factory=list)
    unrouted: bool = False


@dataclass(frozen=True, slots=True)
class Routing:
    """The targets and the rules between them. `since` ms: when the notifier first ran."""

    routes: tuple[Route, ...]
    default: str | None
    policies: Policies
    quiet_ms: int
    since: int


def plan(alert: Mapping[str, Any], noted: Sequence[Noted], routing: Routing, *, now: int, appended_at: int) -> Plan:
    """What to add and drop. `noted`: all that is noted of the alert's key; `appended_at` ms: when its record was
    written; `now` ms: the clock's."""
    closed = alert["status"] == CLOSED
    silent = _is_silent(alert, routing)
    if silent:
        routing = replace(routing, default=None)
    episode = _episode(alert, noted, closed)
    of_episode = [each for each in noted if each.episode == episode]
    if closed:
        return _closing(alert, episode, of_episode, routing, silent, now, appended_at)
    done = Plan(episode)
    there = {(each.stage, each.target) for each in of_episode}
    words = alert.get("targets") or ()
    if alert["status"] == ESCALATED:
        if not any(each.stage == OPENING for each in of_episode):
            _add(done, alert, OPENING, routing.policies.of(alert.get("rule")).targets, there, noted, routing, now)
        _add(done, alert, f"level-{alert.get('level') or 0}", words, there, noted, routing, now)
    else:
        _add(done, alert, OPENING, words, there, noted, routing, now)
    done.unrouted = not (silent or done.add or of_episode)
    return done


def _is_silent(alert: Mapping[str, Any], routing: Routing) -> bool:
    """Whether nobody is to be told, but who asked for everything: the finding names no target, though its rule does."""
    return not alert.get("targets") and bool(routing.policies.of(alert.get("rule")).targets)


def _episode(alert: Mapping[str, Any], noted: Sequence[Noted], closed: bool) -> int:
    """By the time of the opening; the next millisecond where one of that time is closed and it is open again."""
    episode: int = alert.get("opened_at") or 0
    known = {each.episode for each in noted}
    over = {each.episode for each in noted if each.stage == CLOSING}
    while episode in over and (not closed or episode + 1 in known):
        episode += 1
    return episode


def _add(
    done: Plan,
    alert: Mapping[str, Any],
    stage: str,
    words: Sequence[str],
    there: set[tuple[str, str]],
    noted: Sequence[Noted],
    routing: Routing,
    now: int,
) -> None:
    for target in route(routing.routes, alert, words, routing.default):
        if (stage, target) in there:
            continue
        quiet = _quiet_until(noted, target, routing.quiet_ms) if stage == OPENING else 0
        done.add.append(New(stage, target, max(now, quiet), held=quiet > now))


def _quiet_until(noted: Sequence[Noted], target: str, quiet_ms: int) -> int:
    told = [n.at for n in noted if n.stage == OPENING and n.target == target and n.state != DROPPED]
    return max(told) + quiet_ms if told else 0


def _closing(
    alert: Mapping[str, Any],
    episode: int,
    noted: Sequence[Noted],
    routing: Routing,
    silent: bool,
    now: int,
    appended_at: int,
) -> Plan:
    done = Plan(episode)
    if any(each.stage == CLOSING for each in noted):
        return done
    done.drop = [each for each in noted if each.state == PENDING]
    if appended_at < routing.since:
        told = [n.target for n in noted if n.state == SENT]
    elif noted:
        told = [n.target for n in noted if n.state != DROPPED and not (n.held and n.state == PENDING)]
    else:
        first = () if silent else routing.policies.of(alert.get("rule")).targets
        told = route(routing.routes, alert, [*(alert.get("targets") or ()), *first], routing.default)
        done.unrouted = not (silent or told)
    done.add = [New(CLOSING, target, now) for target in dict.fromkeys(told)]
    return done
