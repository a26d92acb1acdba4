"""Reads the rule data files beside it, at import of whoever needs them (OTH-08: numbers and words are data)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from streams.domain.alert import Policies
from streams.domain.channel import Settings as ChannelSettings
from streams.domain.contract import Contract, Limits
from streams.domain.courier_file import Layouts, Numbers
from streams.domain.courier_file.layout import LayoutError
from streams.domain.courier_file.layout import parse as parse_layout
from streams.domain.identity import Delays
from streams.domain.inventory.settings import Settings as InventorySettings
from streams.domain.ledger.settings import Settings as LedgerSettings
from streams.domain.logistics.arrival import Estimates
from streams.domain.logistics.settings import Settings as LogisticsSettings
from streams.domain.match.settings import AuditReports, MatchReports
from streams.domain.order import ManualRules, NodeRecords, OrderSettings, StockRules, TierRules
from streams.domain.order.pushes import parse as parse_pushes
from streams.domain.protected.settings import Protected
from streams.domain.quality.settings import QualityReports
from streams.domain.report.balance import BalanceReports
from streams.domain.report.health import HealthReports
from streams.domain.report.repair import RepairReports
from streams.domain.report.settings import ReportError, StockReports
from streams.domain.report.unconfirmed import UnconfirmedReports
from streams.domain.report.variance import VarianceReports
from streams.domain.risk.settings import Settings as RiskSettings
from streams.domain.status_map import MapError, StatusMaps, Table, parse
from streams.domain.systems import Register
from streams.domain.tax.settings import Settings as TaxSettings

FOLDER = Path(__file__).parent
STATUS = FOLDER / "status"


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MapError(f"{path.name} cannot be read: {error}") from None


def status_maps(folder: Path = STATUS, own: Path | None = None) -> StatusMaps:
    """All status tables of a folder, in order of their names, with the operator's `own` beside them or, where they have
    the same name, in their place. MapError names the file and row that must not be used.
    """
    return _status_maps(folder, own)


@cache
def _status_maps(folder: Path, own: Path | None) -> StatusMaps:
    """Read once, however a caller names its arguments: a cache takes `own=None` and none for two questions."""
    tables = status_tables(folder)
    if own is not None:
        if not own.is_dir():
            raise MapError(f"{own} is no folder of status tables")
        tables = {**tables, **status_tables(own)}
    return StatusMaps(tables[name] for name in sorted(tables))


def status_tables(folder: Path) -> Mapping[str, Table]:
    """The tables of a folder by name (of the file, without .json). MapError as above."""
    return {path.stem: status_table(path) for path in sorted(folder.glob("*.json"))}


def status_table(path: Path) -> Table:
    """The table of one file. MapError as above."""
    return parse(path.stem, _read(path))


@cache
def contract(path: Path = FOLDER / "limits.json") -> Contract:
    """The contract check under the limits of the file."""
    return Contract(Limits(**_read(path)["contract"]))


@cache
def delays(path: Path = FOLDER / "limits.json") -> Delays:
    """How long an orphan may wait."""
    return Delays(**_read(path)["identity"])


@cache
def inventory(path: Path = FOLDER / "limits.json") -> InventorySettings:
    """How long stock is held, when selling is paused."""
    return InventorySettings(**_read(path)["inventory"])


@cache
def node_records(path: Path = FOLDER / "node_records.json") -> NodeRecords:
    """Owner and SLA of each node (ST-08), and the couriers' telephones. NodeRecordError names what must not be used."""
    phones = {name: courier.phone for name, courier in logistics().couriers.items() if courier.phone}
    return replace(NodeRecords.parse(_read(path)), phones=phones)


@cache
def order_settings(path: Path = FOLDER / "limits.json") -> OrderSettings:
    """Tiers, node records, what the stock and the stages of an order may take, pushes and manual commands."""
    orders = _read(path)["orders"]
    tiers = orders["tiers"]
    return OrderSettings(
        tiers=TierRules(tuple(tiers["co_signed"]), dict(tiers["large_minor"])),
        stock=StockRules(**orders["stock"]),
        nodes=node_records(),
        pushes=parse_pushes(orders["pushes"]),
        shown_ms=orders["shown_ms"],
        auto_complete=auto_complete(),
        manual=ManualRules.parse(orders["manual"]),
    )


@cache
def auto_complete(path: Path = FOLDER / "limits.json") -> frozenset[str]:
    """LOG-13: the channels whose flag `auto_complete_on_logistics_sign` is on; off where a channel has none."""
    flags = _read(path)["orders"]["auto_complete_on_logistics_sign"]
    if not all(isinstance(flag, bool) for flag in flags.values()):
        raise ValueError("auto_complete_on_logistics_sign: the flag of a channel is neither true nor false")
    return frozenset(channel for channel, flag in flags.items() if flag)


@cache
def channels(path: Path = FOLDER / "limits.json") -> ChannelSettings:
    """The numbers of the channels' breakers."""
    document = _read(path)
    numbers = {**document["channels"], "payment_orphan_ms": document["identity"]["payment_orphan_ms"]}
    return ChannelSettings(**{**numbers, "without_api": tuple(numbers["without_api"]), "health": health_reports()})


@cache
def alert_policies(path: Path = FOLDER / "alerts.json") -> Policies:
    """Who is told about what."""
    return Policies.parse(_read(path))


@cache
def stock_reports(path: Path = FOLDER / "reports.json") -> StockReports:
    """When the stock reports are made, and who follows up."""
    return StockReports.parse(_read(path)["stock"])


@cache
def logistics(path: Path = FOLDER / "logistics.json") -> LogisticsSettings:
    """How long a waybill may stand still, and which couriers can be asked."""
    return LogisticsSettings.parse(_read(path), auto_complete())


@cache
def answers(path: Path = FOLDER / "logistics.json") -> dict[str, str]:
    """LOG-15: what words of a call's result stand for, by word; see `answer_of`."""
    return {word.casefold(): answer for answer, words in _read(path)["answers"].items() for word in words}


@cache
def ledger(path: Path = FOLDER / "recognition.json") -> LedgerSettings:
    """When revenue is recognised, by channel. LedgerError names the entry that must not be used."""
    return LedgerSettings.parse(_read(path), order_settings().currency, auto_complete())


@cache
def estimates(path: Path = FOLDER / "logistics.json") -> Estimates:
    """How the arrival of a parcel is estimated."""
    return Estimates(**_read(path)["estimates"])


@cache
def risk(path: Path = FOLDER / "risk.json") -> RiskSettings:
    """Weights, seasons, limits and advice of the risk rules. RiskError names the entry that must not be used."""
    return RiskSettings.parse(risk_document(path))


def risk_document(path: Path = FOLDER / "risk.json") -> dict[str, Any]:
    """The same as it stands in the file."""
    document: dict[str, Any] = _read(path)
    return document


@cache
def courier_layouts(folder: Path = FOLDER / "couriers") -> Layouts:
    """How couriers without an interface write their lists. LayoutError names the file that must not be used."""
    try:
        return Layouts(parse_layout(path.stem, _read(path)) for path in sorted(folder.glob("*.json")))
    except MapError as error:
        raise LayoutError(str(error)) from None


@cache
def courier_numbers(path: Path = FOLDER / "limits.json") -> Numbers:
    """How late a row may be, and how often a folder is looked at."""
    return Numbers(**_read(path)["courier_files"])


@cache
def repair_reports(path: Path = FOLDER / "reports.json") -> RepairReports:
    """When the month's repair times are reported, and what they should be."""
    return RepairReports.parse(_read(path)["repair"])


@cache
def quality_reports(path: Path = FOLDER / "reports.json") -> QualityReports:
    """When the quality reports are made, and what they should say."""
    return QualityReports.parse(_read(path)["quality"], auto_complete())


@cache
def unconfirmed_reports(path: Path = FOLDER / "reports.json") -> UnconfirmedReports:
    """How the orders that nobody confirmed are listed as a period closes."""
    return UnconfirmedReports.parse(_read(path)["unconfirmed"])


@cache
def match_reports(path: Path = FOLDER / "reports.json") -> MatchReports:
    """When sales, shipments and receipts are compared, and by how much they may differ."""
    return MatchReports.parse(_read(path)["match"], ledger())


@cache
def variance_reports(path: Path = FOLDER / "reports.json") -> VarianceReports:
    """By how much GMV and booked amount may differ."""
    return VarianceReports.parse(_read(path)["variance"])


@cache
def report_memory_days(path: Path = FOLDER / "reports.json") -> int:
    """How long what was told of a month or period is kept. ReportError if it is no number of days."""
    days = _read(path)["memory_days"]
    if type(days) is not int or days < 1:
        raise ReportError("reports: memory_days is a whole number from 1")
    return days


@cache
def protected(path: Path = FOLDER / "protected.json") -> Protected:
    """DQ-11: fields that no step may change. ProtectedError names the entry that must not be used."""
    return Protected.parse(_read(path))


@cache
def systems(path: Path = FOLDER / "systems.json") -> Register:
    """DQ-10: what other systems demand. SystemsError names the entry that must not be used."""
    return Register.parse(_read(path))


@cache
def health_reports(path: Path = FOLDER / "reports.json") -> HealthReports:
    """When the month's health of the channels is reported."""
    return HealthReports.parse(_read(path)["health"])


@cache
def audit_reports(path: Path = FOLDER / "reports.json") -> AuditReports:
    """How many differences are audited as a month ends."""
    return AuditReports.parse(_read(path)["audit"])


@cache
def tax(path: Path = FOLDER / "tax.json") -> TaxSettings:
    """The numbers and words of the invoices. TaxError names what must not be used."""
    return TaxSettings.parse(_read(path), ledger().rounding_minor)


@cache
def balance_reports(path: Path = FOLDER / "reports.json") -> BalanceReports:
    """How the trial balance of a closed month waits for its parts."""
    return BalanceReports.parse(_read(path)["balance"])
