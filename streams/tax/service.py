"""What a tax service is: it issues, reverses, and says what became of a request.

Each request bears an id. A call may end without telling whether it was taken; then the service is asked by that id
before anything is sent again, so that no invoice is issued twice. Providers (百望, 航信) are adapters of this protocol.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

Request = Mapping[str, Any]
"""A record of tax-requests."""


@dataclass(frozen=True, slots=True)
class Issued:
    """The invoice, or the red one, is there. `tax_number`: as it was printed."""

    code: str
    number: str | None = None
    pdf_url: str | None = None
    tax_number: str | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The service will not issue it, for what the request says."""

    error_code: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """The service certainly did nothing: throttled, closed, not reached. `after_ms`: how long it asked to wait."""

    error_code: str
    error: str | None = None
    after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Unsure:
    """Nobody knows whether it did: no answer in time, a connection that broke, an error inside. Also: it is at it."""

    error_code: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """Of `status`: the service never took such a request."""


Answer = Issued | Rejected | NotTaken | Unsure


class TaxService(Protocol):
    """Raises nothing of its own: what goes wrong is an answer. May block; called from several threads."""

    def issue(self, request: Request) -> Answer: ...

    def red(self, request: Request) -> Answer: ...

    def status(self, request: Request) -> Answer | Unknown: ...
