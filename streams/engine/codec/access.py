"""How one gets in at a schema registry: its address, user and password, and the files that TLS needs (PEM).

The password leaves only in the Authorization header: no repr, message or redirect has it.
"""

import base64
import ssl
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from typing import Any, Final, Self

from streams.engine.codec.errors import RegistryError, RegistryUnavailableError

_HUNG_UP: Final = (ssl.SSLEOFError, ConnectionResetError, BrokenPipeError)


@dataclass(frozen=True, slots=True)
class Access:
    """`url` is without user and password. `ca` is trusted in place of the system's authorities; `cert` is the client's
    certificate and its chain, `key` its key (empty: in the same file). Empty: none."""

    url: str = "file:"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    cert: str = ""
    key: str = ""
    key_password: str = field(default="", repr=False)

    @classmethod
    def at(cls, url: str, **more: str) -> Self:
        """The same, with user and password taken out of a URL that has them."""
        if not url.startswith(("http://", "https://")):
            return cls(url, **more)
        parts = urllib.parse.urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
        if parts.username is not None:
            more |= {"user": urllib.parse.unquote(parts.username)}
            more |= {"password": urllib.parse.unquote(parts.password or "")}
        return cls(urllib.parse.urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), **more)

    def __str__(self) -> str:
        return self.url

    @property
    def tls(self) -> bool:
        return self.url.startswith("https:")

    @property
    def headers(self) -> dict[str, str]:
        """Basic auth, if there is a user."""
        if not self.user:
            return {}
        return {"Authorization": "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()}

    def opener(self) -> urllib.request.OpenerDirector:
        """What asks this server. RegistryError if a file cannot be used."""
        tls = [urllib.request.HTTPSHandler(context=self._tls())] if self.tls else []
        return urllib.request.build_opener(_Stay, *tls)

    def _tls(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=self.ca or None)
        except OSError as error:
            raise RegistryError(f"OMS_REGISTRY_CA: {self.ca} cannot be used: {_why(error)}") from None
        if self.cert:
            try:
                # Without a password here, an encrypted key would have OpenSSL ask for one at the terminal.
                context.load_cert_chain(self.cert, self.key or None, password=lambda: self.key_password)
            except (OSError, ValueError) as error:
                files = f"{self.cert} and {self.key}" if self.key else self.cert
                raise RegistryError(f"OMS_REGISTRY_CERT, OMS_REGISTRY_KEY: {files}: {_why(error)}") from None
        return context

    def refused(self, status: int) -> str | None:
        """One line for a status that says that another setting is needed; None for others. The server's own words are
        left out: nobody knows what it repeats."""
        there = f"registry {self.url}"
        if status == 401:
            given = f"refuses user {self.user}" if self.user else "wants a user"
            return f"{there} {given} (401): see OMS_REGISTRY_USER and OMS_REGISTRY_PASSWORD"
        if status == 403:
            return f"{there} forbids user {self.user or '(none)'} what is asked (403): see OMS_REGISTRY_USER"
        if 300 <= status < 400:
            return f"{there} has moved ({status}): set OMS_REGISTRY to where it is"
        return None

    def trouble(self, error: Exception) -> RegistryError:
        """What a connection that failed is told as; one that only another setting can mend is not tried again."""
        there, reason = f"registry {self.url}", getattr(error, "reason", None)
        cause = reason if isinstance(reason, Exception) else error
        if isinstance(cause, ssl.SSLCertVerificationError):
            why = cause.verify_message or _why(cause)
            return RegistryError(f"{there}: its certificate cannot be verified ({why}); see OMS_REGISTRY_CA")
        if isinstance(cause, ssl.SSLError) and "ALERT" in _reason(cause):
            return RegistryError(f"{there} ends TLS ({_why(cause)}); see OMS_REGISTRY_CERT and OMS_REGISTRY_KEY")
        hint = ""
        if self.tls and not self.cert and isinstance(cause, _HUNG_UP):
            hint = " (if it wants a client's certificate: OMS_REGISTRY_CERT)"
        return RegistryUnavailableError(f"{there} cannot be reached: {_why(cause)}{hint}")


class _Stay(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: urllib would take the Authorization header along to whatever host it names."""

    def redirect_request(self, *_: Any) -> None:
        return None


def _why(error: Exception) -> str:
    """The cause in a few words; of OpenSSL its own, without the place in the source."""
    return _reason(error).replace("_", " ").lower() or str(error) or type(error).__name__


def _reason(error: Exception) -> str:
    """What OpenSSL calls it; empty where it has no name for it."""
    return str(getattr(error, "reason", None) or "") if isinstance(error, ssl.SSLError) else ""
