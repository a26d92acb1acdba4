"""What a connection takes from a server that proves itself badly, and what of its settings it never shows."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest

from streams.engine.wire.security import Refused, Security, scram
from tests.support.certificates import Authority

PASSWORD = "correct-horse-7"


def server(
    rounds: str = "4096", salt: bytes = base64.b64encode(b"salt"), nonce: Callable[[bytes], bytes] = bytes.strip,
    knows: str = PASSWORD, ends: Callable[[bytes], bytes] = bytes.strip,
) -> Callable[[bytes], bytes]:  # fmt: skip
    """The server's side of SCRAM-SHA-256, as far as it is not told to be odd."""
    heard: list[bytes] = []

    def answer(message: bytes) -> bytes:
        heard.append(message)
        if len(heard) == 1:
            mine = nonce(message.rpartition(b",r=")[2]) + b"more"
            heard.append(b"r=" + mine + b",s=" + salt + b",i=" + rounds.encode())
            return heard[1]
        salted = hashlib.pbkdf2_hmac("sha256", knows.encode(), b"salt", 4096)
        signed = b",".join((heard[0].removeprefix(b"n,,"), heard[1], message.rpartition(b",p=")[0]))
        key = hmac.digest(salted, b"Server Key", "sha256")
        return ends(b"v=" + base64.b64encode(hmac.digest(key, signed, "sha256")))

    return answer


def test_a_server_that_knows_the_password_is_believed() -> None:
    scram(server(), "SCRAM-SHA-256", "us=er,", PASSWORD)


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (server(knows="another"), "does not know the password"),
        (server(ends=lambda _: b"e=other-error"), "does not know the password"),
        (server(ends=lambda said: said + b"A"), "does not know the password"),
        (server(ends=lambda _: b""), "does not know the password"),
        (server(nonce=lambda _: b"replayed"), "another SCRAM message"),
        (server(rounds="1"), "wants 1 rounds of SCRAM, which must be 4096 to 1000000"),
        (server(rounds="4095"), "wants 4095 rounds"),
        (server(rounds="4294967296"), "wants 4294967296 rounds"),
        (server(rounds="-4096"), "wants -4096 rounds"),
        (server(rounds="many"), "no SCRAM challenge"),
        (server(rounds=""), "no SCRAM challenge"),
        (server(salt=b"*"), "no SCRAM challenge"),
        (lambda _: b"", "no SCRAM challenge"),
        (lambda _: b"\xff\0=,=,==", "no SCRAM challenge"),
        (lambda _: b"e=unknown-user", "no SCRAM challenge"),
    ],
)
def test_any_other_is_refused_in_one_line(odd: Callable[[bytes], bytes], says: str) -> None:
    """Few rounds would give the password away to whoever tries words; very many would keep a worker busy for hours."""
    with pytest.raises(Refused, match=says) as raised:
        scram(odd, "SCRAM-SHA-256", "user", PASSWORD)
    assert PASSWORD not in str(raised.value)


def test_the_password_is_not_shown() -> None:
    security = Security.of(
        {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "user",
         "sasl.password": PASSWORD}
    )  # fmt: skip
    assert isinstance(security, Security)
    assert security.password == PASSWORD
    assert PASSWORD not in repr(security)


@pytest.mark.parametrize(("given", "works"), [(PASSWORD, True), ("wrong", False), (None, False), ("", False)])
def test_an_encrypted_key_without_its_password_is_said_and_nobody_is_asked_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, works: bool
) -> None:
    """OpenSSL would ask at the terminal, where a worker has nobody."""
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked"))
    authority = Authority.make(tmp_path)
    certificate, key = authority.signed("client", password=PASSWORD)
    conf = {"security.protocol": "SSL", "ssl.ca.location": str(authority.ca),
            "ssl.certificate.location": str(certificate), "ssl.key.location": str(key)}  # fmt: skip
    found = Security.of(conf if given is None else {**conf, "ssl.key.password": given})
    if works:
        assert isinstance(found, Security)
    else:
        assert str(found).startswith("TLS settings: ")
