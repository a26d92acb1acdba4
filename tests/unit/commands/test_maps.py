"""`oms maps`: tables are checked as a worker would read them, shown, and put where workers find them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner, Result

from streams import catalogue
from streams.agents.intake import make
from streams.cli import app
from streams.domain.rules import data
from streams.errors import OmsError


def oms(*arguments: object, folder: Path | None = None) -> Result:
    environ = {"OMS_MAPS_DIR": str(folder) if folder else ""}
    return CliRunner(env=environ).invoke(app, ["maps", *(str(argument) for argument in arguments)])


def table(*rows: dict[str, Any], **head: Any) -> dict[str, Any]:
    known = {"version": 1, "topics": ["orders"], "names": ["newshop"], "default_fields": ["status"]}
    return {**known, "rows": list(rows) or [{"code": "7", "state": "paid", "node": "paid"}], **head}


def file(tmp_path: Path, document: Any, name: str = "newshop.json") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.mark.rule("OTH-08")
def test_the_tables_in_use_are_good() -> None:
    done = oms("check")
    assert done.exit_code == 0
    assert done.stdout.endswith("rows: good\n")


@pytest.mark.rule("ST-03")
def test_show_says_what_a_code_means() -> None:
    done = oms("show", "jd", "LOCKED")
    assert (done.exit_code, len(done.stdout.splitlines())) == (0, 1)
    assert "LOCKED: paid, locked, ship:forbidden" in done.stdout
    [row] = json.loads(oms("show", "zto", "SIGNED", "--json").stdout)
    assert (row["table"], row["state"], row["axis"]) == ("zto", "shipped", "delivery:left_pickup_point")
    assert "a return leg" in oms("show", "yto", "TMS_RETURN").stdout
    assert "logistics_signed" in oms("show", "zto", "门卫代收").stdout
    assert "logistics_signed" in oms("show", "SF Express", "80").stdout


@pytest.mark.rule("ST-03")
def test_show_tells_the_fields_of_one_code_apart() -> None:
    assert len(json.loads(oms("show", "pdd", "3", "--json").stdout)) == 4
    [row] = json.loads(oms("show", "pdd", "3", "--field", "refund_status", "--json").stdout)
    assert row["axis"] == "refund:in_progress"


def test_show_of_what_nobody_knows_is_a_finding() -> None:
    assert (oms("show", "nowhere").exit_code, oms("show", "jd", "NOPE").exit_code) == (1, 1)
    assert len(oms("show", "nowhere").stderr.splitlines()) == 1


@pytest.mark.rule("OTH-08")
@pytest.mark.parametrize(
    ("document", "wrong"),
    [
        (table({"code": "a", "state": "teleported"}), "row 1 maps to an unknown state"),
        (table({"code": "a"}, {"code": "a"}), "a stands twice"),
        (table({"code": "已签收", "state": "shipped"}, topics=["couriers"]), "must end the delivery"),
        (table(names=["jd"]), None),
    ],
)
def test_a_wrong_table_is_named_in_one_line_and_not_imported(tmp_path: Path, document: Any, wrong: str | None) -> None:
    path, folder = file(tmp_path, document), tmp_path / "maps"
    checked, imported = oms("check", path), oms("import", path, folder=folder)
    if wrong is None:
        assert (checked.exit_code, imported.exit_code) == (0, 0)
        return
    assert (checked.exit_code, imported.exit_code) == (1, 1)
    assert wrong in checked.stdout
    assert wrong in imported.stderr
    assert len(imported.stderr.splitlines()) == 1
    assert not folder.exists()


@pytest.mark.rule("OTH-08")
def test_a_new_platform_is_imported_and_known_to_the_next_worker(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    done = oms("import", file(tmp_path, table()), folder=folder)
    assert (done.exit_code, done.stdout) == (0, f"{folder / 'newshop.json'}\n")
    assert "7: paid" in oms("show", "newshop", "7", folder=folder).stdout
    assert [path.name for path in folder.iterdir()] == ["newshop.json"]
    assert len(catalogue.choose(None, maps_dir=folder)) == len(catalogue.choose(None))


@pytest.mark.rule("OTH-08")
def test_the_version_must_rise(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    again = table(version=2)
    assert oms("import", file(tmp_path, again), folder=folder).exit_code == 0
    refused = oms("import", file(tmp_path, again), folder=folder)
    assert (refused.exit_code, refused.stderr) == (
        1,
        "oms: newshop: version must be higher than 2, that of the table in use\n",
    )
    assert oms("import", file(tmp_path, table(version=3)), folder=folder).exit_code == 0


@pytest.mark.rule("OTH-08")
def test_a_table_of_the_packages_name_takes_its_place(tmp_path: Path) -> None:
    folder = tmp_path / "maps"
    own = {**json.loads((data.STATUS / "allegro.json").read_text(encoding="utf-8")), "version": 1}
    path = file(tmp_path, own, "allegro.json")
    assert oms("import", path, folder=folder).exit_code == 1
    own = {**own, "version": 2, "rows": [{"code": "BOUGHT", "not_status": "ours"}]}
    assert oms("import", file(tmp_path, own, "allegro.json"), folder=folder).exit_code == 0
    assert data.status_maps(own=folder).find("orders", ("allegro",), None, "BOUGHT")["state"] is None
    assert not data.status_maps(own=folder).find("orders", ("allegro",), None, "CANCELLED")["known"]


def test_import_needs_its_folder(tmp_path: Path) -> None:
    done = oms("import", file(tmp_path, table()))
    assert done.exit_code == 2
    assert "OMS_MAPS_DIR" in done.stderr


@pytest.mark.rule("OTH-08")
@pytest.mark.parametrize("broken", ["{", '{"version": 1}', "[" * 5000])
def test_a_broken_file_stops_the_worker_with_one_line(tmp_path: Path, broken: str) -> None:
    (tmp_path / "own.json").write_text(broken, encoding="utf-8")
    with pytest.raises(OmsError, match=r"OMS_MAPS_DIR: own"):
        catalogue.choose(None, maps_dir=tmp_path)
    assert oms("check", folder=tmp_path).exit_code == 1


def test_a_folder_that_is_not_there_stops_the_worker(tmp_path: Path) -> None:
    with pytest.raises(OmsError, match="is no folder of status tables"):
        catalogue.choose(None, maps_dir=tmp_path / "nowhere")


@pytest.mark.rule("OTH-08")
def test_the_schema_is_exported() -> None:
    schema = json.loads(oms("schema").stdout)
    Draft202012Validator.check_schema(schema)
    assert Draft202012Validator(schema).is_valid(table({"code": "x", "not_status": "why"}))


def test_an_agent_with_other_tables_is_the_same_agent() -> None:
    assert make(data.status_maps()).name == "intake"
