"""What a connection needs of librdkafka's settings: TLS by Python's ssl, SASL PLAIN and SCRAM (RFC 5802).

Settings are read by librdkafka's names, so that one configuration serves both producers. Whatever is not known here is
not guessed: `Security.of` answers why, and librdkafka's producer is taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_KNOWN: Final = {
    "security.protocol", "ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.key.password",
    "ssl.endpoint.identification.algorithm", "enable.ssl.certificate.verification",
    "sasl.mechanism", "sasl.mechanisms", "sasl.username", "sasl.password",
}  # fmt: skip
_SCRAM: Final = {"SCRAM-SHA-256": hashlib.sha256, "SCRAM-SHA-512": hashlib.sha512}
_ROUNDS: Final = range(4096, 1_000_001)
"""Of the hash, that a server may ask for: with fewer the password is too easily found from the proof (RFC 7677), and
many more would keep us busy for hours."""
Ask = Callable[[bytes], bytes]
"""Sends one SASL message; answers the server's."""


class Refused(Exception):
    """The broker will not have this user, or is not who it says."""


@dataclass(frozen=True, slots=True)
class Security:
    """``tls``: a context, or None for plain text. ``mechanism``: of SASL, or None."""

    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    username: str = ""
    password: str = field(default="", repr=False)

    @staticmethod
    def of(conf: Mapping[str, Any]) -> Security | str:
        """The security of a configuration, or why it is left to librdkafka."""
        protocol = str(conf.get("security.protocol", "plaintext")).upper()
        if protocol not in ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"):
            return f"security protocol {protocol}"
        mechanism = None
        if protocol.startswith("SASL_"):
            mechanism = str(conf.get("sasl.mechanism") or conf.get("sasl.mechanisms") or "GSSAPI").upper()
            if mechanism != "PLAIN" and mechanism not in _SCRAM:
                return f"SASL mechanism {mechanism}"
        unknown = sorted(name for name in conf if name.startswith(("ssl.", "sasl.", "enable.ssl.", "https.")))
        unknown = [name for name in unknown if name not in _KNOWN]
        if unknown:
            return f"setting {unknown[0]}"
        try:
            tls = _context(conf) if protocol.endswith("SSL") else None
        except (OSError, ValueError) as error:
            return f"TLS settings: {error}"  # librdkafka says what is wrong with them
        return Security(tls, mechanism, str(conf.get("sasl.username", "")), str(conf.get("sasl.password", "")))

    def authenticate(self, ask: Ask) -> None:
        """The messages of SASL after the handshake. Raises `Refused` if the server does not prove itself."""
        if self.mechanism == "PLAIN":
            ask(f"\0{self.username}\0{self.password}".encode())
        elif self.mechanism is not None:
            scram(ask, self.mechanism, self.username, self.password)


def scram(ask: Ask, mechanism: str, username: str, password: str) -> None:
    """The client's side of SCRAM without channel binding."""
    digest = _SCRAM[mechanism]
    nonce = base64.b64encode(secrets.token_bytes(24))
    name = username.replace("=", "=3D").replace(",", "=2C").encode()
    first = b"n=" + name + b",r=" + nonce
    answer = ask(b"n,," + first)
    fields = dict(part.split(b"=", 1) for part in answer.split(b",") if b"=" in part)
    try:
        salt, rounds = base64.b64decode(fields[b"s"], validate=True), int(fields[b"i"])
    except (KeyError, ValueError):
        raise Refused("the broker's answer is no SCRAM challenge") from None
    if not fields.get(b"r", b"").startswith(nonce):
        raise Refused("the broker's answer is to another SCRAM message")
    if rounds not in _ROUNDS:
        raise Refused(f"the broker wants {rounds} rounds of SCRAM, which must be {_ROUNDS[0]} to {_ROUNDS[-1]}")
    salted = hashlib.pbkdf2_hmac(digest().name, password.encode(), salt, rounds)
    key = hmac.digest(salted, b"Client Key", digest)
    final = b"c=biws,r=" + fields[b"r"]
    signed = first + b"," + answer + b"," + final
    signature = hmac.digest(digest(key).digest(), signed, digest)
    proof = bytes(left ^ right for left, right in zip(key, signature, strict=True))
    verdict = ask(final + b",p=" + base64.b64encode(proof))
    expected = b"v=" + base64.b64encode(hmac.digest(hmac.digest(salted, b"Server Key", digest), signed, digest))
    if not hmac.compare_digest(verdict.split(b",")[0], expected):
        raise Refused("the broker does not know the password either: it is not who it says")


def _context(conf: Mapping[str, Any]) -> ssl.SSLContext:
    ca = conf.get("ssl.ca.location")
    context = ssl.create_default_context(cafile=None if ca in (None, "", "probe") else str(ca))
    if str(conf.get("ssl.endpoint.identification.algorithm", "https")).lower() == "none":
        context.check_hostname = False
    if str(conf.get("enable.ssl.certificate.verification", "true")).lower() in ("false", "0", "f"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate = conf.get("ssl.certificate.location")
    if certificate:
        password = str(conf.get("ssl.key.password") or "")
        # Without a password here, an encrypted key would have OpenSSL ask for one at the terminal.
        context.load_cert_chain(str(certificate), conf.get("ssl.key.location") or None, lambda: password)
    return context
