"""Certificates for tests, made by `openssl`: an authority, and what it signs."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Authority:
    """`ca` is its certificate; `signed` makes certificate and key of a name."""

    folder: Path
    name: str = "ca"

    @property
    def ca(self) -> Path:
        return self.folder / f"{self.name}.pem"

    @staticmethod
    def make(folder: Path, name: str = "ca") -> Authority:
        if shutil.which("openssl") is None:
            pytest.skip("no openssl command")
        found = Authority(folder, name)
        _openssl("req", "-x509", *_new(folder / f"{name}.key"), "-subj", f"/CN={name}", "-out", found.ca, "-days", "2")
        return found

    def signed(self, name: str, *, password: str = "") -> tuple[Path, Path]:
        """Certificate and key (PKCS#8) for 127.0.0.1; the key encrypted, if there is a password."""
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        locked = ["-passout", f"pass:{password}"] if password else []
        _openssl(
            *("req", "-x509", *_new(key, *locked), "-subj", f"/CN={name}", "-out", certificate, "-days", "2"),
            *("-CA", self.ca, "-CAkey", self.folder / f"{self.name}.key", "-addext", "subjectAltName=IP:127.0.0.1"),
        )
        return certificate, key


def _new(key: Path, *locked: str) -> list[str | Path]:
    how = locked or ("-noenc",)
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", *how, "-keyout", key]


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
