"""`oms notify` as a command: its settings, the test message, and what the doctor says of the targets."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from streams.commands.common import serve_metrics
from streams.config import Settings
from streams.datadir import lock_data_dir
from streams.errors import OmsError
from tests.unit.commands.test_cli import oms, one_line
from tests.unit.notify.servers import Answer, HttpTarget, http_target


def targets(folder: Path, web: HttpTarget, more: str = "") -> str:
    path = folder / "targets.yaml"
    path.write_text(f"targets:\n  group: {{kind: dingtalk, url: '{web.url}', token: {{env: GROUP_TOKEN}}}}\n{more}")
    return str(path)


def test_a_test_message_is_taken_or_the_reason_is_said(tmp_path: Path) -> None:
    with http_target() as web:
        env = {"OMS_NOTIFY_CONFIG": targets(tmp_path, web), "GROUP_TOKEN": "t0k3n"}
        result = oms("notify", "test", "group", **env)
        assert (result.exit_code, result.stdout) == (0, "target group took the message\n")
        assert "[test]" in web.got[0].body["text"]["content"]
        web.answers = [Answer(body={"errcode": 310000, "errmsg": "t0k3n"})]
        refused = oms("notify", "test", "group", **env)
        one_line(refused, 1, "target group: code 310000")
        assert "t0k3n" not in refused.output
        one_line(oms("notify", "test", "nobody", **env), 2, "there are group")


def test_wrong_settings_are_one_line(tmp_path: Path) -> None:
    one_line(oms("notify", OMS_NOTIFY_CONFIG=""), 1, "OMS_NOTIFY_CONFIG")
    with http_target() as web:
        config = targets(tmp_path, web)
    one_line(oms("notify", OMS_NOTIFY_CONFIG=config), 1, "target group: token: the variable GROUP_TOKEN is not set")
    one_line(oms("notify", "--log-level", "LOUD"), 2, "--log-level")


def test_no_broker_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.clients.require_topics.__defaults__", (0.5,))
    with http_target() as web:
        env = {"OMS_NOTIFY_CONFIG": targets(tmp_path, web), "GROUP_TOKEN": "t", "OMS_DATA_DIR": str(tmp_path)}
        one_line(oms("notify", "--once", "--broker", "kafka://127.0.0.1:1", **env), 1, "no broker at 127.0.0.1:1")


def test_the_doctor_names_words_that_nobody_takes(tmp_path: Path) -> None:
    with http_target() as web:
        env = {"GROUP_TOKEN": "t", "OMS_BROKER": "127.0.0.1:1", "OMS_DATA_DIR": str(tmp_path)}
        for more, said in (
            ("", "WARN alert targets: group (dingtalk); nobody takes wecom, email, sms, voice, ticket"),
            ("default: group\n", "OK   alert targets: group (dingtalk)"),
            ("default: nobody\n", "FAIL alert targets: OMS_NOTIFY_CONFIG: default"),
        ):
            shown = oms("doctor", "--wait", "0.1", OMS_NOTIFY_CONFIG=targets(tmp_path, web, more), **env).stdout
            assert any(line.startswith(said) for line in shown.splitlines()), shown


def test_a_second_one_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    with http_target() as web:
        env = {"OMS_NOTIFY_CONFIG": targets(tmp_path, web), "GROUP_TOKEN": "t", "OMS_DATA_DIR": str(tmp_path)}
    with lock_data_dir(Settings.from_env({"OMS_DATA_DIR": str(tmp_path)}, worker_id="notify")):
        one_line(oms("notify", "--once", **env), 1, "another oms notify uses")


@pytest.mark.parametrize(("host", "setting"), [("127.0.0.1", "OMS_WEB_PORT"), ("192.0.2.1", "OMS_WEB_HOST")])
def test_an_address_its_metrics_cannot_have_is_one_line_that_names_the_setting(host: str, setting: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OmsError, match=rf"^{host}:{port}: .*; set {setting}$"):
            serve_metrics(Settings(web_host=host, web_port=port), CollectorRegistry())
