"""What is to be told, what was told and how far the topic has been read: one SQLite file in the worker's data folder.

A record of `alerts` and what follows from it are noted in one transaction together with the offset behind it, on disk
before anything is sent. A message is noted as sent after its target took it: a kill between the two sends that message
again (at least once). The other way round a kill would lose it, and an alert told twice does less harm than one never
told. Webhooks and e-mails carry an id made from alert, stage and target, by which a receiver may know the second one.

If the file is lost the topic is read from its beginning: what is open is told once more, and what had been closed by
then is not.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from streams.domain.notify.pace import MINUTE_MS
from streams.domain.notify.plan import DROPPED, GIVEN_UP, PENDING, SENT, Noted, Plan
from streams.outlet.outbox import OutboxFile

FORGET_MS: Final = 30 * 86_400_000
"""Messages of closed alerts are kept so long."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS messages (
    key TEXT NOT NULL, episode INTEGER NOT NULL, stage TEXT NOT NULL, target TEXT NOT NULL,
    state TEXT NOT NULL, urgency INTEGER NOT NULL, held INTEGER NOT NULL,
    created_at INTEGER NOT NULL, appended_at INTEGER NOT NULL, due_at INTEGER NOT NULL, done_at INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0, alert TEXT NOT NULL,
    PRIMARY KEY (key, episode, stage, target)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS waiting ON messages (target, urgency, created_at) WHERE state = 'pending';
CREATE TABLE IF NOT EXISTS sends (target TEXT NOT NULL, at INTEGER NOT NULL);
"""
_URGENCY: Final = {"critical": 0, "warning": 1}
_NAMED: Final = "key = ? AND episode = ? AND stage = ? AND target = ?"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message to be sent. `appended_at` ms: when its alert's record was written; `attempts`: refusals so far."""

    key: str
    episode: int
    stage: str
    target: str
    alert: Mapping[str, Any]
    appended_at: int
    created_at: int
    attempts: int

    @property
    def name(self) -> tuple[str, int, str, str]:
        return self.key, self.episode, self.stage, self.target


class Outbox(OutboxFile):
    """`path` None keeps it in memory (--dry-run)."""

    def __init__(self, path: Path | None, now: int) -> None:
        super().__init__(path, now, _SCHEMA)

    # -- reading the topic -------------------------------------------------------------------------------------------

    def noted(self, key: str) -> list[Noted]:
        """All that is noted of an alert."""
        columns = "episode, stage, target, state, coalesce(done_at, created_at), held AND done_at IS NULL"
        with self._lock:
            rows = self._db.execute(f"SELECT {columns} FROM messages WHERE key = ?", (key,)).fetchall()
        return [Noted(row[0], row[1], row[2], row[3], row[4], bool(row[5])) for row in rows]

    def apply(self, key: str, alert: Mapping[str, Any], plan: Plan, now: int, appended_at: int) -> None:
        """Note what a plan adds and drops; what waits of the episode is told with the alert as it is now."""
        text = json.dumps(alert, ensure_ascii=False, separators=(",", ":"))
        urgency = _URGENCY.get(alert.get("severity") or "", 2)
        # What is not held is due at once, whatever the clock is set to later.
        new_rows = [
            (key, plan.episode, new.stage, new.target, urgency, new.held, now, appended_at, new.due_at * new.held, text)
            for new in plan.add
        ]
        with self.transaction():
            for old in plan.drop:
                name = (key, plan.episode, old.stage, old.target)
                self._db.execute(
                    f"UPDATE messages SET state = '{DROPPED}' WHERE {_NAMED} AND state = '{PENDING}'", name
                )
            known = "key = ? AND episode = ? AND state = 'pending'"
            self._db.execute(f"UPDATE messages SET alert = ? WHERE {known}", (text, key, plan.episode))
            self._db.executemany(
                "INSERT OR IGNORE INTO messages (key, episode, stage, target, state, urgency, held, created_at,"
                " appended_at, due_at, alert) VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?, ?, ?)",
                new_rows,
            )

    # -- sending -----------------------------------------------------------------------------------------------------

    def due(self, target: str, now: int, most: int) -> list[Waiting]:
        """Messages of a target that are due, the most urgent first, then the oldest."""
        columns = "key, episode, stage, target, alert, max(appended_at, due_at * held), created_at, attempts"
        order = "ORDER BY urgency, created_at, key LIMIT ?"
        where = "target = ? AND state = 'pending' AND due_at <= ?"
        with self._lock:
            rows = self._db.execute(
                f"SELECT {columns} FROM messages WHERE {where} {order}", (target, now, most)
            ).fetchall()
        return [
            Waiting(key, episode, stage, name, json.loads(alert), *rest)
            for key, episode, stage, name, alert, *rest in rows
        ]

    def next_due(self, target: str) -> int | None:
        """When (ms) the next message of a target is due, or None."""
        query = "SELECT min(due_at) FROM messages WHERE target = ? AND state = 'pending'"
        with self._lock:
            [(at,)] = self._db.execute(query, (target,))
        return at  # type: ignore[no-any-return]

    def sends(self, target: str, now: int) -> list[int]:
        """When (ms) messages went to a target within the last minute."""
        with self._lock:
            self._db.execute("DELETE FROM sends WHERE at <= ?", (now - MINUTE_MS,))
            return [at for (at,) in self._db.execute("SELECT at FROM sends WHERE target = ?", (target,))]

    def note_attempt(self, target: str, now: int) -> None:
        """A message is about to go: it counts into the limit whatever becomes of it."""
        with self._lock:
            self._db.execute("INSERT INTO sends VALUES (?, ?)", (target, now))

    def note_done(self, messages: Iterable[Waiting], now: int, state: str = SENT) -> None:
        with self.transaction():
            self._db.executemany(
                f"UPDATE messages SET state = ?, done_at = ? WHERE {_NAMED}", [(state, now, *m.name) for m in messages]
            )

    def note_refused(self, message: Waiting, due_at: int) -> None:
        with self._lock:
            change = f"UPDATE messages SET attempts = attempts + 1, due_at = ? WHERE {_NAMED} AND state = 'pending'"
            self._db.execute(change, (due_at, *message.name))

    # -- looking -----------------------------------------------------------------------------------------------------

    def pending(self, targets: Sequence[str] | None = None, now: int | None = None) -> int:
        """Messages not sent yet; with `now` only those not held by OTH-05 until later."""
        later = "" if now is None else f" AND NOT (held AND due_at > {int(now)})"
        where = "" if targets is None else f" AND target IN ({', '.join('?' * len(targets))})"
        with self._lock:
            query = f"SELECT count(*) FROM messages WHERE state = '{PENDING}'{later}{where}"
            [(count,)] = self._db.execute(query, tuple(targets or ()))
        return int(count)

    def forget(self, now: int) -> None:
        """Drop what was told long ago of alerts that are closed; of an open alert all is kept as long as it is open.
        What was dropped belongs to a closed one, whether or not anybody had to be told of the closing."""
        over = "SELECT 1 FROM messages AS c WHERE c.key = m.key AND c.episode = m.episode AND c.stage = 'closed'"
        done = f"state IN ('{SENT}', '{GIVEN_UP}', '{DROPPED}') AND coalesce(done_at, created_at) < ?"
        closed = f"(state = '{DROPPED}' OR EXISTS ({over}))"
        with self._lock:
            self._db.execute(f"DELETE FROM messages AS m WHERE {done} AND {closed}", (now - FORGET_MS,))
