"""The whole notifier with threads and real connections: down and back, stalling targets, kill -9 after a delivery."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from streams.domain.rules import data
from streams.notify.metrics import NotifyMetrics
from streams.notify.outbox import Outbox
from streams.notify.requests import Outcome
from streams.notify.senders import Sender
from streams.notify.service import Notifier
from streams.notify.settings import NotifySettings
from streams.outlet.outbox import OutboxError
from tests.unit.notify.desk import T0, Hand, Records, alert, settings
from tests.unit.notify.servers import Answer, http_target

pytestmark = pytest.mark.rule("OTH-05")
ROOT = Path(__file__).resolve().parents[3]


def notifier(config: NotifySettings, path: Path, records: Records, sender: Any = None) -> Notifier:
    outbox = Outbox(path, T0)
    return Notifier(config, data.alert_policies(), records, outbox, sender or Sender(), NotifyMetrics())


def ticket(url: str, **more: Any) -> dict[str, Any]:
    return {"kind": "ticket", "url": url, "for": "dingtalk", **more}


def test_drained_over_the_wire_while_one_target_stalls(tmp_path: Path) -> None:
    with http_target() as good, http_target() as stalling:
        stalling.answers = [Answer(stall_s=2)]
        config = settings({"good": ticket(good.url), "stalling": ticket(stalling.url, timeout_s=0.3)})
        records = Records()
        for number in range(5):
            records.say(alert(f"k{number}"))
        left = notifier(config, tmp_path / "outbox", records).run(once=True, wait_s=3)
        assert [got.body["alerts"][0]["alert_key"] for got in good.got] == [f"k{number}" for number in range(5)]
        assert left == 5
        assert 1 <= len(stalling.got) <= 4
        stalling.answers = [Answer()]
        assert notifier(config, tmp_path / "outbox", records).run(once=True, wait_s=20) == 0
        assert len(good.got) == 5, "nothing is told twice"


def test_nothing_is_told_before_the_topic_is_read_to_its_end(tmp_path: Path) -> None:
    records, hand = Records(), Hand()
    for number in range(150):  # more than one reading
        records.say(alert(f"old{number}"), T0 - 10)
    for number in range(150):
        records.say(alert(f"old{number}", status="closed"), T0 - 5)
    records.say(alert("new"))
    assert notifier(settings({"t": ticket("http://x")}), tmp_path / "o", records, hand).run(once=True) == 0
    assert hand.told("t") == [("open", "new")]


def test_limited_with_retry_after_then_told_once(tmp_path: Path) -> None:
    with http_target() as target:
        target.answers = [Answer(429, headers={"Retry-After": "2"}), Answer()]
        records = Records().say(alert())
        assert notifier(settings({"t": ticket(target.url)}), tmp_path / "o", records).run(once=True, wait_s=20) == 0
        assert len(target.got) == 2


@pytest.mark.parametrize("victim", [0, 2])
def test_killed_between_delivery_and_its_note_only_that_message_comes_twice(tmp_path: Path, victim: int) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from tests.unit.notify.test_service import drain\n"
        "print(drain(Path(sys.argv[1]), sys.argv[2]))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "outbox")]
    running: list[subprocess.Popen[bytes]] = []
    with http_target() as target:
        taken = Answer(call=lambda: os.kill(running[0].pid, signal.SIGKILL))
        target.answers = [*[Answer()] * victim, taken, Answer()]
        running.append(subprocess.Popen([*command, target.url], cwd=ROOT))
        assert running[0].wait(60) == -signal.SIGKILL
        assert len(target.got) == victim + 1
        again = subprocess.run([*command, target.url], cwd=ROOT, check=True, capture_output=True, timeout=60)
        assert again.stdout == b"0\n"
        keys = [got.body["alerts"][0]["alert_key"] for got in target.got]
        assert keys == [*[f"k{n}" for n in range(victim + 1)], *[f"k{n}" for n in range(victim, 5)]]
        repeated = [
            got.headers["Idempotency-Key"] for got in target.got if got.body["alerts"][0]["alert_key"] == f"k{victim}"
        ]
        assert len(repeated) == 2
        assert len({*repeated}) == 1, "the receiver can know it"


def drain(path: Path, url: str) -> int:
    """Five alerts to one ticket system, in a process of its own."""
    records = Records()
    for number in range(5):
        records.say(alert(f"k{number}"))
    return notifier(settings({"t": ticket(url)}), path, records).run(once=True, wait_s=10)


def test_killed_before_the_records_are_noted_they_are_read_again(tmp_path: Path) -> None:
    records, hand = Records().say(alert()), Hand()
    config = settings({"t": ticket("http://x")})
    broken = notifier(config, tmp_path / "o", records, hand)

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    broken._outbox.note_offsets = fail  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        broken.run(once=True)
    assert not hand.took, "nothing is sent of what is not noted"
    assert notifier(config, tmp_path / "o", records, hand).run(once=True) == 0
    assert hand.told("t") == [("open", "INV-11/BAG")]


def test_a_full_disk_ends_the_process_without_a_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Full:
        def send(self, *_: object) -> Outcome:
            raise sqlite3.OperationalError("database or disk is full")

    records = Records()
    records.say(alert())
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        notifier(settings({"ding": ticket("http://127.0.0.1:1")}), tmp_path / "outbox", records, Full()).run()
    [told] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert told.getMessage() == "ding: database or disk is full"
    assert told.exc_info is None


def test_a_bug_in_one_target_ends_the_process_instead_of_going_silent(tmp_path: Path) -> None:
    class Broken(Hand):
        def send(self, *_: Any) -> Outcome:
            raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        notifier(settings({"t": ticket("http://x")}), tmp_path / "o", Records().say(alert()), Broken()).run()


def test_an_outbox_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "o").write_text("no database, only some text that is long enough to be looked at" * 20)
    with pytest.raises(OutboxError, match="cannot be used"):
        Outbox(tmp_path / "o", T0)
