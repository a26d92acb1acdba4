"""The file of targets is checked as a whole, and no secret is ever shown."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest

from streams.config import ConfigError
from streams.notify.settings import from_env, load, shown
from tests.unit.notify.desk import robot, settings


def test_a_target_serves_its_kind_unless_told_otherwise() -> None:
    found = settings({"a": robot(), "b": robot("wecom", **{"for": ["wecom", "sms"]}, per_minute=5)}, default="a")
    assert found.targets["a"].route.serves == {"dingtalk"}
    assert found.targets["b"].route.serves == {"wecom", "sms"}
    assert (found.targets["a"].limits.per_minute, found.targets["b"].limits.per_minute) == (20, 5)
    assert (found.default, found.quiet_ms) == ("a", 30 * 60_000)


def test_secrets_come_from_variables_and_files_and_are_never_shown(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-file\n")
    targets = {"a": robot(secret={"env": "SIGN"}), "b": robot(token={"file": str(tmp_path / "token")})}
    found = settings(targets)
    assert shown(found.targets["a"].options["secret"]) == "s3cr3t"
    assert shown(found.targets["b"].options["token"]) == "from-file"
    everything = f"{found!r} {found.targets!r} {found.targets['a'].options}"
    assert not any(secret in everything for secret in ("t0k3n", "s3cr3t", "from-file"))


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"kind": "fax"}, "kind"),
        ({"kind": ["dingtalk"]}, "kind"),
        ({"kind": None}, "kind"),
        (robot(timeout_s=float("nan")), "timeout_s"),
        (robot(url="http://[::1"), "url: is no URL"),
        ({"kind": "dingtalk"}, "token: is missing"),
        (robot(token="in-the-clear"), "token: must be"),
        (robot(token={"env": "NOBODY"}), "the variable NOBODY is not set"),
        (robot(token={"file": "/nowhere/token"}), "cannot read"),
        (robot(colour="red"), "colour: a dingtalk has no such option"),
        (robot(per_minute=0), "per_minute"),
        (robot(timeout_s=121), "timeout_s"),
        (robot(severities=["odd"]), "severities"),
        (robot(rules=[]), "rules"),
        (robot(prefix="a\nb"), "prefix"),
        (robot(url="ftp://x"), "url"),
        ({"kind": "email", "server": "mail", "from": "a@b", "to": "c@d"}, "server"),
        ({"kind": "email", "server": "mail:25", "from": "a@b", "to": "c@d", "user": "u"}, "password"),
        ({"kind": "email", "server": "mail:25", "from": "a@b", "to": "c@d", "tls": "maybe"}, "tls"),
        ({"kind": "sms", "url": "http://x", "to": "1,,2"}, "to: names nobody"),
        ({"kind": "ticket", "url": "http://x", "headers": "X: y"}, "headers: must be a mapping"),
    ],
)
def test_a_wrong_target_is_named_with_its_option(entry: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match="OMS_NOTIFY_CONFIG") as error:
        settings({"group": entry})
    assert "group" in str(error.value)
    assert said in str(error.value)
    assert "in-the-clear" not in str(error.value)


@pytest.mark.parametrize(
    "more", [{"default": "nobody"}, {"quiet_minutes": -1}, {"quiet_minutes": "30"}, {"tragets": {}}]
)
def test_a_wrong_entry_is_named(more: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(more))):
        settings({"a": robot()}, **more)


def test_a_file_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="names no file"):
        from_env({})
    with pytest.raises(ConfigError, match="cannot read"):
        load(tmp_path / "none.yaml", {})
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text("targets: [")
    with pytest.raises(ConfigError, match="not YAML"):
        load(wrong, {})
    wrong.write_text("a: 1")
    with pytest.raises(ConfigError, match="no `targets`"):
        load(wrong, {})


def test_the_example_of_the_readme_is_one_that_works(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
    start = text.index("    default: mail")
    example = tmp_path / "targets.yaml"
    example.write_text(textwrap.dedent(text[start : text.index("\n\n", start)]), encoding="utf-8")
    names = ("STOCK_GROUP_TOKEN", "STOCK_GROUP_SECRET", "MAIL_USER", "MAIL_PASSWORD", "DUTY_NUMBER", "SMS_KEY")
    env = {**dict.fromkeys(names, "x"), "TICKET_HOOK": "https://x"}
    found = load(example, env)
    assert [target.kind for target in found.targets.values()] == ["dingtalk", "email", "sms", "ticket", "alertmanager"]


@pytest.mark.parametrize("default", [["group"], {"group": 1}, 5, "nobody"])
def test_a_default_that_is_no_target_is_one_line(default: Any) -> None:
    with pytest.raises(ConfigError, match="default: no target of that name"):
        settings({"group": robot()}, default=default)
