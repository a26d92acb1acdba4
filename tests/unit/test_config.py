"""Settings: defaults, what is accepted, and how a wrong value is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.config import ConfigError, Settings


def settings(tmp_path: Path, **environ: str) -> Settings:
    return Settings.from_env({"OMS_DATA_DIR": str(tmp_path), **environ})


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    found = Settings.from_env({"XDG_STATE_HOME": "/state"})
    assert found.broker == "127.0.0.1:9092"
    assert found.registry.url == "file:"
    assert found.data_dir == Path("/state/oms") / found.worker_id
    assert (found.web_port, found.partitions, found.audit_raw) == (0, 8, "keep")
    assert (found.group_protocol, found.session_timeout_ms) == ("classic", 6000)


def test_a_worker_id_names_the_folder_under_the_data_root(tmp_path: Path) -> None:
    found = settings(tmp_path, OMS_WORKER_ID="w-1")
    assert found.data_dir == tmp_path / "w-1"
    assert found.data_root == tmp_path


@pytest.mark.parametrize(
    ("text", "bootstrap"),
    [
        ("kafka://broker:9093", "broker:9093"),
        ("kafka://a:1,b:2", "a:1,b:2"),
        ("kafka://a:1, kafka://b", "a:1,b:9092"),
        ("localhost:9092", "localhost:9092"),
        ("kafka://[::1]:9092", "[::1]:9092"),
    ],
)
def test_a_broker_url_becomes_a_bootstrap_list(tmp_path: Path, text: str, bootstrap: str) -> None:
    assert settings(tmp_path, OMS_BROKER=text).broker == bootstrap


@pytest.mark.parametrize(
    ("variable", "value", "accepted"),
    [
        ("OMS_BROKER", "http://x:1", "kafka://HOST:PORT"),
        ("OMS_BROKER", "kafka://x:99999", "kafka://HOST:PORT"),
        ("OMS_BROKER", "", None),
        ("OMS_REGISTRY", "ftp://x", "http://"),
        ("OMS_WORKER_ID", "a/b", "letters, digits"),
        ("OMS_WEB_PORT", "65536", "0 to 65535"),
        ("OMS_WEB_PORT", "-1", "0 to 65535"),
        ("OMS_PARTITIONS", "0", "1 to 1000"),
        ("OMS_PARTITIONS", "8.0", "1 to 1000"),
        ("OMS_AUDIT_RAW", "shred", "keep, hash, drop"),
        ("OMS_BATCH_SIZE", "many", "1 to 100000"),
        ("OMS_SESSION_TIMEOUT_MS", "10", "1000 to"),
        ("OMS_GROUP_PROTOCOL", "eager", "classic, consumer"),
        ("OMS_PRODUCER", "java", "auto, librdkafka"),
        ("OMS_KAFKA_SECURITY_PROTOCOL", "TLS", "SASL_SSL"),
        ("OMS_KAFKA_SASL_MECHANISM", "MD5", "SCRAM-SHA-512"),
        ("OMS_KAFKA_SSL_CA_LOCATION", "/no/such/ca.pem", "no such file"),
        ("OMS_KAFKA_SSL_CA_LOCATION", "x" * 5000, "no such file"),
        ("OMS_DATA_DIR", "~nobody-of-that-name/oms", "~NAME needs a user"),
        ("OMS_MAPS_DIR", "~nobody-of-that-name/maps", "~NAME needs a user"),
        ("OMS_KAFKA_BOOTSTRAP_SERVERS", "x:1", "belongs to the engine"),
        ("OMS_KAFKA_ISOLATION_LEVEL", "read_uncommitted", "belongs to the engine"),
        ("OMS_KAFKA_SASL_PASSWORD_FILE", "/no/such/secret", "cannot read"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_the_variable_and_what_is_accepted(
    tmp_path: Path, variable: str, value: str, accepted: str | None
) -> None:
    if accepted is None:
        settings(tmp_path, **{variable: value})
        return
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, **{variable: value})
    text = str(caught.value)
    assert variable in text
    assert accepted in text
    assert "\n" not in text
    assert caught.value.exit_code == 1


def test_an_option_takes_the_place_of_a_variable_and_its_mistake_is_wrong_use(tmp_path: Path) -> None:
    environ = {"OMS_DATA_DIR": str(tmp_path), "OMS_BROKER": "kafka://a:1"}
    assert Settings.from_env(environ, broker="kafka://b:2").broker == "b:2"
    assert Settings.from_env(environ, broker=None).broker == "a:1"
    with pytest.raises(ConfigError, match="--broker") as caught:
        Settings.from_env(environ, broker="nonsense://")
    assert caught.value.exit_code == 2


def test_kafka_variables_pass_through_as_librdkafka_keys(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret-from-file\n")
    found = settings(
        tmp_path,
        OMS_KAFKA_SECURITY_PROTOCOL="sasl_ssl",
        OMS_KAFKA_SASL_MECHANISM="SCRAM-SHA-256",
        OMS_KAFKA_SASL_USERNAME="oms",
        OMS_KAFKA_SASL_PASSWORD_FILE=str(secret),
        OMS_KAFKA_SOCKET_KEEPALIVE_ENABLE="true",
    )
    assert dict(found.kafka) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "oms",
        "sasl.password": "s3cret-from-file",
        "socket.keepalive.enable": "true",
    }
    assert found.client_config(**{"group.id": "g"})["sasl.password"] == "s3cret-from-file"


def test_secrets_are_never_shown(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        OMS_REGISTRY="https://user:hunter2@registry:8081",
        OMS_KAFKA_SASL_PASSWORD="hunter2",
        OMS_KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET="hunter2",
        OMS_KAFKA_SSL_KEY_PEM="hunter2",
    )
    for text in (repr(found), str(found), f"{found}"):
        assert "hunter2" not in text
        assert "sasl.password" in text


@pytest.mark.parametrize("variable", ["OMS_BROKER", "OMS_KAFKA_SASL_MECHANISM", "OMS_REGISTRY"])
def test_the_message_about_a_wrong_value_does_not_repeat_it(tmp_path: Path, variable: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(tmp_path, **{variable: "kafka://user:hunter2@host:1"})
    assert "hunter2" not in str(caught.value)


def test_a_variable_and_its_file_together_are_refused(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    with pytest.raises(ConfigError, match="OMS_KAFKA_SASL_PASSWORD and OMS_KAFKA_SASL_PASSWORD_FILE"):
        settings(tmp_path, OMS_KAFKA_SASL_PASSWORD="y", OMS_KAFKA_SASL_PASSWORD_FILE=str(secret))


def test_settings_are_frozen(tmp_path: Path) -> None:
    found = settings(tmp_path)
    with pytest.raises(AttributeError):
        found.broker = "elsewhere:1"  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.kafka["sasl.password"] = "x"  # type: ignore[index]


def test_an_unknown_override_is_a_programming_error(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="brokr"):
        Settings.from_env({}, brokr="x")


def test_the_salt_of_hashes_comes_from_the_environment_or_a_file_and_is_never_shown(tmp_path: Path) -> None:
    salt = "sixteen or more!"
    assert settings(tmp_path).hash_salt is None
    found = settings(tmp_path, OMS_HASH_SALT=salt)
    assert found.hash_salt == salt
    assert salt not in repr(found)
    (tmp_path / "salt").write_text(salt + "\n", encoding="utf-8")
    assert settings(tmp_path, OMS_HASH_SALT_FILE=str(tmp_path / "salt")).hash_salt == salt
    with pytest.raises(ConfigError, match="OMS_HASH_SALT: must be at least 16 characters") as told:
        settings(tmp_path, OMS_HASH_SALT="fifteen letters")
    assert "fifteen" not in str(told.value)


def test_the_registry_lets_in_by_user_and_password_and_files(tmp_path: Path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("")
    (tmp_path / "secret").write_text("hunter2\n")
    found = settings(
        tmp_path,
        OMS_REGISTRY="https://registry:8081/apis/ccompat/v7/",
        OMS_REGISTRY_USER="oms",
        OMS_REGISTRY_PASSWORD_FILE=str(tmp_path / "secret"),
        OMS_REGISTRY_CA=str(tmp_path / "ca.pem"),
        OMS_REGISTRY_CERT=str(tmp_path / "cert.pem"),
        OMS_REGISTRY_KEY=str(tmp_path / "key.pem"),
        OMS_REGISTRY_KEY_PASSWORD="hunter3",
    )
    access = found.registry
    assert str(access) == access.url == "https://registry:8081/apis/ccompat/v7"
    assert (access.user, access.password, access.key_password) == ("oms", "hunter2", "hunter3")
    assert [Path(path).name for path in (access.ca, access.cert, access.key)] == ["ca.pem", "cert.pem", "key.pem"]
    assert "hunter" not in repr(found)


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"USER": "oms"}, "OMS_REGISTRY_USER is set without OMS_REGISTRY_PASSWORD"),
        ({"PASSWORD": "hunter2"}, "OMS_REGISTRY_PASSWORD is set without OMS_REGISTRY_USER"),
        ({"USER": "o:s", "PASSWORD": "hunter2"}, "OMS_REGISTRY_USER: basic auth allows no colon in it"),
        ({"KEY": __file__}, "OMS_REGISTRY_KEY is set without OMS_REGISTRY_CERT"),
        ({"KEY_PASSWORD": "hunter2"}, "OMS_REGISTRY_KEY_PASSWORD is set without OMS_REGISTRY_CERT"),
        ({"CA": "/no/such/hunter2"}, "OMS_REGISTRY_CA: must be the path of a PEM file"),
        ({"CERT": "/"}, "OMS_REGISTRY_CERT: must be the path of a PEM file"),
        ({"KEY_FILE": "the key itself"}, "OMS_REGISTRY_KEY: must be the path of a PEM file"),
        ({"PASSWORD_FILE": "/no/such"}, "OMS_REGISTRY_PASSWORD_FILE: cannot read /no/such"),
        ({"": "http://me:hunter2@r", "USER": "oms", "PASSWORD": "x"}, "OMS_REGISTRY has a user, and OMS_REGISTRY_USER"),
        ({"": "http://me:hunter2\u2100@r"}, "OMS_REGISTRY: must be file:"),
    ],
)
def test_registry_settings_that_do_not_go_together_are_one_line_without_a_secret(
    tmp_path: Path, environ: dict[str, str], says: str
) -> None:
    if "KEY_FILE" in environ:  # the mistake of whoever takes it for the path
        (tmp_path / "key.pem").write_text("-----BEGIN PRIVATE KEY-----\nhunter2\n" * 1000)
        environ = {"KEY_FILE": str(tmp_path / "key.pem")}
    with pytest.raises(ConfigError) as caught:
        settings(
            tmp_path, **{f"OMS_REGISTRY_{name}" if name else "OMS_REGISTRY": text for name, text in environ.items()}
        )
    assert str(caught.value).startswith(says)
    assert "hunter" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_user_without_an_account_or_home_needs_neither(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As a container may run us; the data folder is another setting, or its default is said to be unusable."""

    def none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", none)
    assert Settings.from_env({"OMS_DATA_DIR": str(tmp_path)}).data_root == tmp_path
    assert Settings.from_env({}).data_root == Path("/.local/state/oms")


def test_an_ipv6_address_stands_in_brackets_where_a_port_follows() -> None:
    assert Settings(web_host="::1").web_address(80) == "[::1]:80"
    assert Settings(web_host="worker-1").web_address(80) == "worker-1:80"
