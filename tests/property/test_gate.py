"""The gate against an oracle that keeps two lists and knows nothing of rows, numbers, batches or timers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.channel_world import SETTINGS, World, missed, ops, order
from tests.support.effort import tries

T0 = 1_769_220_000_000
ORPHAN = 500
END = 600_000
SMALL = replace(SETTINGS, payment_orphan_ms=ORPHAN, drain=2, qps={"mini": 3}, late_order_ms=10**9)
Action = tuple[int, str, str, int]
"""(ms since the action before, what, channel, how many or the new limit)."""

ACTIONS = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 7, 200, 333, 1000, 1500]),
        st.sampled_from(["orders"] * 6 + ["miss"] * 3 + ["open", "limit"]),
        st.sampled_from(["mini", "mini", "shop"]),
        st.integers(1, 6),
    ),
    max_size=40,
)


@dataclass
class Channel:
    """What a channel must do, told as plainly as can be."""

    limit: int
    waiting: list[str] = field(default_factory=list)
    passed: list[tuple[int, str]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    misses: int = 0
    suspended: bool = False
    clear: int = 0

    def go_on(self, now: int) -> None:
        """Time passes up to `now`: whoever may go, goes, at the first moment there is a token."""
        while self.waiting and not self.suspended:
            at = max(self.clock, self._token_at())
            if at > now:
                break
            self.clock = at
            self.passed.append((at, self.waiting.pop(0)))
            if self.limit:
                self.taken.append(at)
            if not self.waiting:
                self.clear = at
        self.clock = now

    clock: int = T0

    def _token_at(self) -> int:
        """Not earlier than a second after the order that is as far back as the limit."""
        if not self.limit or len(self.taken) < self.limit:
            return 0
        return self.taken[-self.limit] + 1000

    def order(self, now: int, number: str) -> None:
        self.go_on(now)
        if not self.suspended:
            self.misses = 0
        held = bool(self.waiting) or self.suspended
        self.waiting.append(number)
        clear = self.clear
        self.go_on(now)
        if not self.waiting and not held:
            self.clear = clear  # it passed at once: nothing was held back

    def miss(self, now: int) -> None:
        self.go_on(now)
        told = now - ORPHAN - 1
        if self.suspended or self.waiting or (self.clear and told <= self.clear):
            return
        self.misses += 1
        self.suspended = self.misses >= 3

    def open(self, now: int) -> None:
        self.go_on(now)
        if self.suspended:
            self.suspended, self.misses = False, 0
            if not self.waiting:
                self.clear = now
            self.go_on(now)


def play(actions: list[Action], world: World, channels: dict[str, Channel]) -> int:
    now, number = T0, 0
    for apart, what, name, count in actions:
        now += apart
        for channel in channels.values():
            channel.go_on(now)
        if what == "orders":
            for _ in range(count):
                number += 1
                world.say(now, order(name, f"{number:04d}", now))
                channels[name].order(now, f"{number:04d}")
        elif what == "miss":
            world.say(now, missed(name, number, now, paid_at=now - ORPHAN - 1), name)
            channels[name].miss(now)
        elif what == "open":
            world.say(now, ops("manual_command", now, command="resume_channel", channel=name))
            channels[name].open(now)
        else:
            world.say(now, ops("reference_set", now, {"kind": "channel", "channel": name, "qps": count}))
            channels[name].limit = count
            channels[name].go_on(now)
    return number


def new_channels() -> dict[str, Channel]:
    return {"mini": Channel(3), "shop": Channel(0)}


@pytest.mark.rule("BRK-01")
@pytest.mark.rule("BRK-03")
@settings(max_examples=tries(400), deadline=None)
@given(actions=ACTIONS)
def test_every_order_goes_when_the_oracle_says_if_tokens_are_used_one_by_one(actions: list[Action]) -> None:
    world, channels = World(replace(SMALL, batches=10)), new_channels()
    play(actions, world, channels)
    end = world.now + END
    world.until(end)
    for name, channel in channels.items():
        channel.go_on(end)
        assert [(at, number) for at, where, number in world.out if where == name] == channel.passed
        assert [key for key in world.held() if key in channel.waiting] == channel.waiting
        assert bool(world.tables["gates"].get(name, {}).get("since")) == channel.suspended


@pytest.mark.rule("BRK-01")
@pytest.mark.rule("BRK-03")
@settings(max_examples=tries(300), deadline=None)
@given(actions=ACTIONS, batches=st.integers(1, 3))
def test_in_batches_too_nothing_is_lost_doubled_or_overtaken_and_no_second_sees_too_many(
    actions: list[Action], batches: int
) -> None:
    world = World(replace(SMALL, batches=batches))
    actions = [(apart, what, name, 3 if what == "limit" else count) for apart, what, name, count in actions]
    total = play(actions, world, new_channels())
    for name in ("mini", "shop"):
        world.say(world.now + 1, ops("manual_command", T0, command="resume_channel", channel=name))
    limited = {name for _, what, name, _ in actions if what == "limit"} | {"mini"}
    world.until(world.now + END)
    assert not world.held()
    assert Counter(number for _, _, number in world.out) == Counter(f"{number + 1:04d}" for number in range(total))
    for name in ("mini", "shop"):
        assert world.numbers(name) == sorted(world.numbers(name))
        times = [at for at, where, _ in world.out if where == name]
        assert times == sorted(times)
    times = [at for at, where, _ in world.out if where == "mini"]
    assert all(times[place + 3] - times[place] >= 1000 for place in range(len(times) - 3))
    assert limited >= {row["channel"] for row in world.told if row["rule"] == "BRK-03"}


@pytest.mark.rule("BRK-03")
@settings(max_examples=100, deadline=None)
@given(actions=ACTIONS)
def test_the_published_places_are_those_in_the_queue(actions: list[Action]) -> None:
    world = World(SMALL)
    number = 0
    for apart, what, _, count in actions:
        if what == "orders":
            for _ in range(count):
                number += 1
                world.say(max(T0, world.now) + apart, order("mini", f"{number:04d}", T0))
                waiting, told = world.held(), [row for row in world.told if row["action"] == "queued"]
                if waiting and told and told[-1]["order_no"] == f"{number:04d}":
                    assert waiting[told[-1]["position"] - 1] == f"{number:04d}"
                else:
                    assert f"{number:04d}" not in waiting
