"""What the doctor says of security settings: what has no effect, goes unencrypted or cannot be given to Connect."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.commands.doctor import _KNOWN
from streams.commands.doctor_security import mismatches, summary
from streams.config import Settings

LOGIN = {"OMS_KAFKA_SASL_MECHANISM": "PLAIN", "OMS_KAFKA_SASL_USERNAME": "oms", "OMS_KAFKA_SASL_PASSWORD": "hush"}
USER = {"OMS_REGISTRY_USER": "me", "OMS_REGISTRY_PASSWORD": "hush"}
CA = {"OMS_REGISTRY_CA": __file__}


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "broker PLAINTEXT, registry file"),
        (
            {"OMS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "OMS_KAFKA_SSL_CA_LOCATION": __file__, **LOGIN},
            "broker SASL_SSL with PLAIN, registry file",
        ),
        ({"OMS_KAFKA_SECURITY_PROTOCOL": "SSL", "OMS_KAFKA_SSL_KEY_PEM": "hush"}, "broker SSL, registry file"),
        ({"OMS_REGISTRY": "https://r", **USER, **CA}, "broker PLAINTEXT, registry https with a user"),
        ({"OMS_REGISTRY": "http://r"}, "broker PLAINTEXT, registry http"),
    ],
)
def test_what_fits_together_is_summed_up(env: dict[str, str], says: str) -> None:
    settings = Settings.from_env(env)
    assert [*mismatches(settings)] == []
    assert summary(settings) == says


@pytest.mark.parametrize(
    ("env", "says"),
    [
        (LOGIN, "OMS_KAFKA_SASL_* has no effect: OMS_KAFKA_SECURITY_PROTOCOL is PLAINTEXT"),
        (
            {"OMS_KAFKA_SECURITY_PROTOCOL": "SSL", **LOGIN},
            "OMS_KAFKA_SASL_* has no effect: OMS_KAFKA_SECURITY_PROTOCOL is SSL",
        ),
        (
            {"OMS_KAFKA_SSL_CA_LOCATION": __file__},
            "OMS_KAFKA_SSL_* has no effect: OMS_KAFKA_SECURITY_PROTOCOL is PLAINTEXT",
        ),
        (
            {"OMS_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", **LOGIN},
            "the broker's password goes unencrypted: OMS_KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT",
        ),
        (USER, "OMS_REGISTRY_* has no effect: OMS_REGISTRY is a lock file"),
        (CA, "OMS_REGISTRY_* has no effect: OMS_REGISTRY is a lock file"),
        (
            {"OMS_REGISTRY": "http://r", **CA},
            "OMS_REGISTRY_CA and OMS_REGISTRY_CERT have no effect: OMS_REGISTRY is not https",
        ),
        (
            {"OMS_REGISTRY": "http://r", **USER},
            "the registry's password goes unencrypted: OMS_REGISTRY is not https",
        ),
    ],
)
def test_what_has_no_effect_or_goes_unencrypted_is_told(env: dict[str, str], says: str) -> None:
    assert [*mismatches(Settings.from_env(env))] == [says]


def test_a_password_that_scram_keeps_to_itself_may_go_without_tls() -> None:
    env = {**LOGIN, "OMS_KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "OMS_KAFKA_SASL_MECHANISM": "SCRAM-SHA-512"}
    assert [*mismatches(Settings.from_env(env))] == []


def test_the_doctor_tells_security_and_connect_and_no_secret(tmp_path: Path) -> None:
    env = {
        "OMS_BROKER": "127.0.0.1:1",
        "OMS_DATA_DIR": str(tmp_path),
        "OMS_REGISTRY": "http://127.0.0.1:1/apis/ccompat/v7",
        **USER,
        "OMS_CONNECT_DB": "postgresql://oms@db/finance",
        "OMS_CONNECT_DB_PASSWORD": "hush",
        "OMS_HASH_SALT": "hush hush hush hush",
        "OMS_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        **LOGIN,
    }
    for more, says in (
        ({}, "OK   connect: oms@db:5432/finance; security of broker and registry goes over to it"),
        ({"OMS_KAFKA_SASL_MECHANISM": "GSSAPI"}, "FAIL connect: OMS_KAFKA_SASL_MECHANISM: GSSAPI is not carried over"),
        ({"OMS_REGISTRY": "http://127.0.0.1:1"}, "FAIL connect: OMS_REGISTRY: Connect needs Apicurio's address"),
    ):
        result = CliRunner(env={**env, **more}).invoke(app, ["doctor", "--wait", "0.1"])
        lines = result.stdout.splitlines()
        assert any(line.startswith(says) for line in lines), result.stdout
        assert any(line.startswith("OK   settings") for line in lines), result.stdout
        assert any(line.startswith("WARN security: the registry's password goes unencrypted") for line in lines)
        assert "hush" not in result.output


def test_the_doctor_knows_every_setting_that_the_readme_names() -> None:
    readme = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\bOMS_[A-Z_]*[A-Z]\b(?![_*])", readme))
    assert len(named) > 20
    assert {name for name in named if not name.startswith("OMS_KAFKA_")} - {f"{name}_FILE" for name in _KNOWN} <= _KNOWN
