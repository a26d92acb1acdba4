"""The one exception the command line turns into a line on stderr and an exit code."""

from __future__ import annotations


class OmsError(Exception):
    """A failure its user can act on: one clear line, no traceback. Exit 1 is a finding, 2 is wrong use."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(OmsError):
    """The command was called wrongly (exit 2)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, exit_code=2)


class BrokerUnreachableError(OmsError):
    """No broker answered in time."""
