"""Settings of Connect: what is wrong is one line that names the variable, and no password is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.config import ConfigError
from streams.connect.settings import ConnectSettings, registry_of

DB = "postgresql://oms@db:5433/finance"


def settings(**env: str) -> ConnectSettings:
    return ConnectSettings.from_env(env)


def test_the_password_comes_from_environment_or_file_and_is_not_shown(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    for env in ({"OMS_CONNECT_DB_PASSWORD": "s3cret"}, {"OMS_CONNECT_DB_PASSWORD_FILE": str(tmp_path / "secret")}):
        found = settings(OMS_CONNECT_DB=DB, **env)
        assert found.needed_database.password.reveal == "s3cret"
        assert "s3cret" not in repr(found) + str(found.database)
    assert str(found.database) == "oms@db:5433/finance"
    assert found.needed_database.jdbc == "jdbc:postgresql://db:5433/finance?reWriteBatchedInserts=true"
    over_tls = settings(OMS_CONNECT_DB=f"{DB}?sslmode=require").needed_database.jdbc
    assert over_tls.endswith("/finance?sslmode=require&reWriteBatchedInserts=true")


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({"OMS_CONNECT_DB": "mysql://a@b/c"}, "OMS_CONNECT_DB: must be postgresql://"),
        ({"OMS_CONNECT_DB": "postgresql://db/finance"}, "OMS_CONNECT_DB: must be postgresql://"),
        ({"OMS_CONNECT_DB": "postgresql://a@db:x/c"}, "OMS_CONNECT_DB: must be postgresql://"),
        ({"OMS_CONNECT_DB": "postgresql://a:hush@db/c"}, "set OMS_CONNECT_DB_PASSWORD"),
        ({"OMS_CONNECT_DB": f"{DB}?user=x"}, "unknown parameter user"),
        ({"OMS_CONNECT_URL": "127.0.0.1:8083"}, "OMS_CONNECT_URL: must be http://HOST:PORT"),
        ({"OMS_CONNECT_JAVA": "512m"}, "OMS_CONNECT_JAVA"),
        ({"OMS_CONNECT_DB": DB, "OMS_CONNECT_DB_PASSWORD_FILE": "/nowhere"}, "OMS_CONNECT_DB_PASSWORD_FILE"),
    ],
)
def test_what_is_wrong_is_named(env: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says.replace("/", r"\/")) as error:
        settings(**env)
    assert "hush" not in str(error.value)


def test_a_database_is_needed_where_it_is() -> None:
    with pytest.raises(ConfigError, match="OMS_CONNECT_DB is not set"):
        _ = settings().needed_database


def test_the_converter_asks_the_same_server() -> None:
    assert registry_of("http://r:8080/apis/ccompat/v7") == "http://r:8080/apis/registry/v2"
    for wrong in ("file:", "http://r:8081"):
        with pytest.raises(ConfigError, match="OMS_REGISTRY"):
            registry_of(wrong)
