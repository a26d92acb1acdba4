"""What the peers need, made once and kept in the cache folder: the Java peers' jars and Quix Streams' own venv."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "bench"
PEERS = Path(__file__).parent / "peers"
# Quix Streams pins confluent-kafka to a version of its own, so it cannot live in the project's venv.
QUIX = ("quixstreams==3.28.1", "fastavro==1.13.1", "orjson>=3.10")


class CannotBuild(RuntimeError):
    """A tool is missing or a build failed; the message says which."""


def java_peer(name: str) -> str:
    """The class path of a Java peer, built by Maven if its sources changed."""
    output = CACHE / "java"
    stamp = output / "sources.sha256"
    digest = _digest(PEERS, "*.java", "pom.xml") + _digest(Path(__file__).parent / "schemas", "*.avsc")
    if not stamp.exists() or stamp.read_text() != digest:
        if not shutil.which("mvn"):
            raise CannotBuild("Maven (mvn) not found: it builds the Java peers")
        _run(["mvn", "-B", "-q", "-f", str(PEERS / "pom.xml"), "package", f"-Doutput.root={output}"])
        stamp.write_text(digest)
    return f"{output / name / f'{name}-1.jar'}:{output / name / 'libs' / '*'}"


def quix_python() -> str:
    """The interpreter of Quix Streams' venv, created if it is not there or not of the wanted versions."""
    venv = CACHE / "quix"
    stamp = venv / "packages.txt"
    python = venv / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != "\n".join(QUIX):
        _run([sys.executable, "-m", "venv", "--clear", str(venv)])
        _run([str(python), "-m", "pip", "install", "-q", *QUIX])
        stamp.write_text("\n".join(QUIX))
    return str(python)


def _digest(folder: Path, *patterns: str) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in folder.rglob(pattern)):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().splitlines()[-10:])
        raise CannotBuild(f"{' '.join(command[:4])} ... ended with {done.returncode}:\n{tail}")
