"""Logging of a process: one line per record on stderr, and never personal data or a secret in it."""

from __future__ import annotations

import logging
import re
import sys
import time
from typing import Final

# Fields of the contract that are about a person, and settings that are secrets. Code that logs should not pass them at
# all; this is the net under it, for a mapping or a JSON text that slipped into a message.
PERSONAL_FIELDS: Final = (
    "receiver",
    "phone",
    "street",
    "address",
    "ip",
    "lat",
    "lon",
    "signed_by",
    "raw",
    "password",
    "secret",
)
_FIELD: Final = re.compile(
    r"""(["']?)\b("""
    + "|".join(PERSONAL_FIELDS)
    + r""")\b\1\s*[:=]\s*(\{[^{}]*\}|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s,;}\])]+)"""
)
_MOBILE: Final = re.compile(r"(?<![0-9A-Za-z])(?:\+?86[- ]?)?1[3-9][0-9]{9}(?![0-9A-Za-z])")


def redact(text: str) -> str:
    """The text with values of personal fields and mobile numbers replaced by ***."""
    return _MOBILE.sub("***", _FIELD.sub(r"\1\2\1: ***", text))


class RedactingFormatter(logging.Formatter):
    """`2026-01-24T02:00:00.123Z INFO streams.engine.turn text`, redacted, tracebacks included."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802 - logging's name
        return time.strftime(datefmt or "%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def setup(level: str = "INFO") -> None:
    """Send the log of this process to stderr; a second call only changes the level."""
    root = logging.getLogger()
    if not any(isinstance(handler.formatter, RedactingFormatter) for handler in root.handlers):
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(RedactingFormatter())
        root.addHandler(handler)
    root.setLevel(level)
    for noisy in ("faust", "mode", "aiohttp.access", "aiokafka"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
