"""What stands in docker/ is true: its files, services, settings, topics, metrics, labels and views are there.

No container engine is needed, and none is asked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from streams import topology
from streams.connect import connectors, database
from streams.connect.metrics import ConnectMetrics
from streams.engine.metrics import Metrics
from streams.notify.metrics import NotifyMetrics

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
RULES = yaml.safe_load((DOCKER / "prometheus" / "rules.yaml").read_text(encoding="utf-8"))
DASHBOARDS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in (DOCKER / "grafana/dashboards").glob("*")
}
SOURCES = yaml.safe_load((DOCKER / "grafana/provisioning/datasources/datasources.yaml").read_text(encoding="utf-8"))
PYTHON = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "streams").rglob("*.py"))

_SUFFIXES = {Counter: ("_total",), Gauge: ("",), Histogram: ("_bucket", "_sum", "_count")}
_MORE_LABELS = {"instance", "job", "le"}


def exported() -> dict[str, set[str]]:
    """Series -> its labels, as the code exports them."""
    found = {}
    for metrics in (Metrics(), ConnectMetrics(), NotifyMetrics()):
        registry: CollectorRegistry = metrics.registry
        for collector in list(registry._collector_to_names):
            for suffix in _SUFFIXES[type(collector)]:
                found[collector._name + suffix] = {*collector._labelnames, *_MORE_LABELS}  # type: ignore[attr-defined]
    return found


EXPORTED = exported()


def expressions() -> Iterator[tuple[str, str]]:
    """(where, expression) of every rule and every panel that asks Prometheus."""
    for group in RULES["groups"]:
        for rule in group["rules"]:
            yield f"rule {rule['alert']}", rule["expr"]
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                if "expr" in target:
                    yield f"{name}: {panel['title']}", target["expr"]


def queries() -> Iterator[tuple[str, str]]:
    """(where, SQL) of every panel that asks the database."""
    for name, dashboard in DASHBOARDS.items():
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                if "rawSql" in target:
                    yield f"{name}: {panel['title']}", target["rawSql"]


def test_what_is_built_and_mounted_is_there() -> None:
    for name, service in SERVICES.items():
        assert ("image" in service) != ("build" in service), name
        if "image" in service:
            assert re.search(r":v?\d+(\.\d+)*$", service["image"]), f"{name}: a version, not whatever is newest"
        else:
            text = (DOCKER / service["build"]["context"] / service["build"]["dockerfile"]).read_text(encoding="utf-8")
            assert re.search(rf"^FROM .* AS {service['build']['target']}$", text, re.MULTILINE), name
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (DOCKER / source).is_dir(), f"{name}: {source}"
            else:
                assert source in COMPOSE["volumes"], f"{name}: {source}"
        assert {*service.get("depends_on", ())} <= {*SERVICES}, name
    for copied in re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(encoding="utf-8"), re.M):
        for source in copied.split():
            assert (ROOT / source).exists(), source


def test_every_setting_of_ours_is_one_that_the_program_reads() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            if variable.startswith("OMS_"):
                spelled = variable in PYTHON or f'"{variable.removeprefix("OMS_").lower()}"' in PYTHON
                assert spelled, f"{name}: {variable}"


def test_no_secret_has_a_value() -> None:
    for name, service in SERVICES.items():
        for variable, value in service.get("environment", {}).items():
            if "PASSWORD" in variable:
                assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), f"{name}: {variable}"


def test_prometheus_asks_services_at_the_port_they_serve() -> None:
    config = yaml.safe_load((DOCKER / "prometheus" / "prometheus.yaml").read_text(encoding="utf-8"))
    assert [*config["rule_files"]] == ["rules.yaml"]
    targets = [place for job in config["scrape_configs"] for one in job["static_configs"] for place in one["targets"]]
    ours = {name for name, service in SERVICES.items() if service.get("command", [""])[0] in ("worker", "connect")}
    assert {target.partition(":")[0] for target in targets} == ours
    port = re.search(r"OMS_WEB_PORT=(\d+)", (DOCKER / "Dockerfile").read_text(encoding="utf-8"))
    assert port is not None
    for target in targets:
        host, _, number = target.partition(":")
        assert number == port[1]
        assert SERVICES[host]["hostname"] == SERVICES[host]["environment"]["OMS_WEB_HOST"] == host


@pytest.mark.parametrize(("where", "text"), [*expressions()], ids=lambda value: value)
def test_every_metric_and_label_is_one_that_is_exported(where: str, text: str) -> None:
    assert text.count("(") == text.count(")")
    named = re.findall(r"\boms_\w+", text)
    assert named or text.startswith("up{"), where
    for name in named:
        assert name in EXPORTED, f"{where}: nothing exports {name}"
    labels = {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", text) for label in group.split(",")}
    for name in named:
        assert labels <= EXPORTED[name], f"{where}: {name} has no label {labels - EXPORTED[name]}"


def test_rules_watch_lag_aborts_dead_letters_and_the_sinks() -> None:
    watched = " ".join(rule["expr"] for group in RULES["groups"] for rule in group["rules"])
    for name in ("oms_lag_records", "oms_aborts_total", "oms_dead_letters_total", "oms_connect_dead_letter_records",
                 "oms_connect_failed_tasks", "oms_connect_lag_records"):  # fmt: skip
        assert name in watched
    for group in RULES["groups"]:
        for rule in group["rules"]:
            assert rule["labels"]["severity"] in ("warning", "critical"), rule["alert"]
            for label in re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]):
                shown = re.findall(r"\bby \(([^)]*)\)", rule["expr"])
                names = {part.strip() for group_ in shown for part in group_.split(",")} or {"instance", "connector"}
                assert label in names, f"{rule['alert']}: {label}"


def test_dashboards_ask_sources_that_are_there() -> None:
    known = {source["uid"]: source for source in SOURCES["datasources"]}
    assert {*DASHBOARDS} == {"engine", "business"}
    assert len({dashboard["uid"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)
    for source in known.values():
        assert source["url"].removeprefix("http://").partition(":")[0] in SERVICES
    for name, dashboard in DASHBOARDS.items():
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        for panel in dashboard["panels"]:
            for asked in (panel, *panel["targets"]):
                assert asked["datasource"]["uid"] in known, f"{name}: {panel['title']}"


@pytest.mark.parametrize(("where", "text"), [*queries()], ids=lambda value: value)
def test_every_query_reads_a_view_that_exists(where: str, text: str) -> None:
    views = re.findall(r"\b(?:FROM|JOIN)\s+(\S+)", text)
    assert views, where
    assert {*views} <= {*database.views()}


def test_every_topic_that_is_named_exists() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    for topic in re.findall(r"topics read (\S+)", text):
        assert topic in topology.load().topics
    summaries = " ".join(rule["annotations"]["summary"] for group in RULES["groups"] for rule in group["rules"])
    assert connectors.DEAD_LETTERS in summaries
    titles = {re.sub(r"[{}]", "", target.get("legendFormat", "")) for one in DASHBOARDS.values()
              for panel in one["panels"] for target in panel["targets"]}  # fmt: skip
    assert connectors.DEAD_LETTERS in titles
