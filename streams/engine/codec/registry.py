"""Which schema an id on the wire stands for: a lock file beside the schemas, or a Confluent-compatible server.

`file:[FOLDER]` reads FOLDER/ids.lock.json: subject -> versions, each with its id, fingerprint and the file that keeps
the schema as it was. Ids are stable for ever; `python -m streams.engine.codec.registry lock` adds versions and never
changes or removes one. `http(s)://HOST/PATH` speaks the few calls of the Confluent schema registry API that are needed
here (Apicurio offers it under /apis/ccompat/v7); how it lets us in is `Access`. Subjects are named `TOPIC-value`
(TopicNameStrategy).
"""

import hashlib
import http.client
import json
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from streams.engine.codec.access import Access
from streams.engine.codec.compatibility import problems
from streams.engine.codec.errors import RegistryError, RegistryUnavailableError, UnknownSchemaError

Schema = dict[str, Any]

LOCK_FILE: Final = "ids.lock.json"
TIMEOUT_S: Final = 10.0
# An unknown id is asked for again after this long: the schema may have been registered since. Without the pause, a
# sender of garbage would cost one request per record.
UNKNOWN_FOR_S: Final = 30.0
_UNKNOWN_MAX: Final = 10_000
# Servers refuse an absurd id in several ways; none of them says that the registry is unwell.
_NO_SUCH_ID: Final = frozenset({400, 404, 422})
_NOT_FOUND: Final = frozenset({404})


class Registry(Protocol):
    """What the codecs need of a registry."""

    def id_of(self, subject: str, schema: Schema) -> int:
        """The id of `schema` under `subject`; RegistryError if it has none and can get none."""

    def by_id(self, schema_id: int) -> Schema:
        """The schema of an id; UnknownSchemaError if there is none."""


def connect(place: Access | str, folder: Path) -> Registry:
    """The registry of a URL; `file:` without a path means `folder`, the schemas of the package."""
    url = str(place)
    if url.startswith("file:"):
        path = url.removeprefix("file:").removeprefix("//")
        return FileRegistry(Path(urllib.parse.unquote(path)) if path else folder)
    if url.startswith(("http://", "https://")):
        return HttpRegistry(place)
    raise RegistryError("a registry is file:, file:FOLDER, http://... or https://...")


def fingerprint(schema: Any) -> str:
    """SHA-256 (hex) of what matters to a reader or writer: everything but the doc strings, and no white space."""
    text = json.dumps(_without(schema, "doc"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _without(schema: Any, attribute: str) -> Any:
    """The schema without an attribute, at any depth; `default` values are left alone."""
    if isinstance(schema, dict):
        return {
            key: value if key == "default" else _without(value, attribute)
            for key, value in schema.items()
            if key != attribute
        }
    if isinstance(schema, list):
        return [_without(item, attribute) for item in schema]
    return schema


@dataclass(frozen=True, slots=True)
class Version:
    """One stored version of a subject's schema; `file` is relative to the folder of the lock file."""

    version: int
    id: int
    fingerprint: str
    file: str


def read_lock(folder: Path) -> dict[str, list[Version]]:
    """Subject -> versions, oldest first; {} if there is no lock file yet. RegistryError if it cannot be read."""
    path = folder / LOCK_FILE
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {subject: [Version(**entry) for entry in entries] for subject, entries in raw.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise RegistryError(f"{path}: not a readable id lock file ({error})") from None


class FileRegistry:
    """Ids from the lock file; nothing has to run."""

    def __init__(self, folder: Path) -> None:
        """Read the lock file of `folder`; RegistryError if there is none."""
        self.folder = folder
        self._subjects = read_lock(folder)
        if not self._subjects:
            raise RegistryError(f"{folder / LOCK_FILE} is missing: no schema has an id")
        self._files = {entry.id: entry.file for entries in self._subjects.values() for entry in entries}
        self._schemas: dict[int, Schema] = {}

    def id_of(self, subject: str, schema: Schema) -> int:
        """The id of the version of `subject` that equals `schema` (doc strings aside)."""
        wanted = fingerprint(schema)
        for entry in reversed(self._subjects.get(subject, [])):
            if entry.fingerprint == wanted:
                return entry.id
        raise RegistryError(
            f"the schema of {subject} is not in {self.folder / LOCK_FILE}: "
            "run `python -m streams.engine.codec.registry lock` after a change"
        )

    def by_id(self, schema_id: int) -> Schema:
        """The stored schema of an id."""
        if schema_id not in self._schemas:
            if schema_id not in self._files:
                raise UnknownSchemaError(schema_id)
            path = self.folder / self._files[schema_id]
            try:
                self._schemas[schema_id] = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise RegistryError(f"{path}: cannot be read ({error})") from None
        return self._schemas[schema_id]


class HttpRegistry:
    """A server with the Confluent schema registry API. Answers are cached for ever: an id never changes its schema.

    Safe to use from several threads.
    """

    def __init__(self, place: Access | str) -> None:
        """Nothing is asked yet. RegistryError if a file of certificates cannot be used."""
        self._access = access = Access.at(place) if isinstance(place, str) else place
        self.url = access.url
        self._headers = {"Accept": "application/vnd.schemaregistry.v1+json, application/json"} | access.headers
        self._opener = access.opener()
        self._ids: dict[tuple[str, str], int] = {}
        self._schemas: dict[int, Schema] = {}
        self._unknown: dict[int, float] = {}
        self._lock = threading.Lock()

    def id_of(self, subject: str, schema: Schema) -> int:
        """Register `schema` under `subject`, or find it there; the server checks what `require` told it to."""
        key = subject, fingerprint(schema)
        with self._lock:
            if key not in self._ids:
                answer = self._ask(f"/subjects/{_quoted(subject)}/versions?normalize=true", _body(schema))
                if answer is None or not isinstance(answer.get("id"), int):
                    raise RegistryError(f"registry {self.url}: no id for {subject} in its answer")
                self._ids[key] = answer["id"]
            return self._ids[key]

    def by_id(self, schema_id: int) -> Schema:
        """The schema of an id, asked for once."""
        known = self._schemas.get(schema_id)
        if known is not None:
            return known
        with self._lock:
            # The API's ids are signed: a greater one can only be garbage.
            if schema_id >= 2**31 or self._unknown.get(schema_id, 0.0) > time.monotonic():
                raise UnknownSchemaError(schema_id)
            answer = self._ask(f"/schemas/ids/{schema_id}")
            if answer is None:
                if len(self._unknown) >= _UNKNOWN_MAX:
                    self._unknown.clear()
                self._unknown[schema_id] = time.monotonic() + UNKNOWN_FOR_S
                raise UnknownSchemaError(schema_id)
            try:
                schema = json.loads(answer["schema"])
            except (KeyError, TypeError, ValueError):
                raise RegistryError(f"registry {self.url}: no schema in its answer for id {schema_id}") from None
            self._schemas[schema_id] = schema
        return self._schemas[schema_id]

    def has(self, subject: str, schema: Schema) -> bool:
        """Whether `schema` is a version of `subject`; registers nothing."""
        return self._ask(f"/subjects/{_quoted(subject)}?normalize=true", _body(schema), absent=_NOT_FOUND) is not None

    def versions(self, subject: str) -> dict[int, Schema]:
        """Every version of `subject` by its number, oldest first; {} if the server has no such subject."""
        path = f"/subjects/{_quoted(subject)}/versions"
        numbers = self._ask(path, kind=list)
        found = {}
        for number in numbers or ():
            answer = self._ask(f"{path}/{number}")
            if answer is not None:  # else it was deleted meanwhile
                found[int(number)] = json.loads(answer["schema"])
        return found

    def required(self, subject: str) -> str | None:
        """The compatibility that the server requires of new versions of `subject`; None if it has no such subject."""
        answer = self._ask(f"/config/{_quoted(subject)}?defaultToGlobal=true")
        return None if answer is None else str(answer.get("compatibilityLevel"))

    def require(self, subject: str, level: str) -> None:
        """Have the server refuse new versions of `subject` that are not compatible: BACKWARD_TRANSITIVE, say."""
        self._ask(f"/config/{_quoted(subject)}", {"compatibility": level}, method="PUT")

    def _ask(
        self,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        method: str | None = None,
        absent: frozenset[int] = frozenset(),
        kind: type = dict,
    ) -> Any:
        """The JSON answer, of type `kind`; None if what is asked for is not there, which an `absent` status says of a
        request with a body. RegistryUnavailableError if the server is away or unwell."""
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        headers = self._headers | ({"Content-Type": "application/vnd.schemaregistry.v1+json"} if data else {})
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        try:
            with self._opener.open(request, timeout=TIMEOUT_S) as response:
                answer = json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                if error.code in (_NO_SUCH_ID if data is None else absent):
                    return None
                if refused := self._access.refused(error.code):
                    raise RegistryError(refused) from None
                said = _message_of(error.read(2000))
            sort = RegistryUnavailableError if error.code >= 500 or error.code == 429 else RegistryError
            raise sort(f"registry {self.url} answers {error.code} to {path.partition('?')[0]}{said}") from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise self._access.trouble(error) from None
        if not isinstance(answer, kind):
            what = "a list" if kind is list else "an object"
            raise RegistryError(f"registry {self.url}: its answer to {path.partition('?')[0]} is not {what}")
        return answer


def _quoted(subject: str) -> str:
    return urllib.parse.quote(subject, safe="")


def _body(schema: Schema) -> dict[str, str]:
    return {"schemaType": "AVRO", "schema": json.dumps(schema, ensure_ascii=False)}


def _message_of(body: bytes) -> str:
    try:
        return ": " + " ".join(str(json.loads(body)["message"]).split())[:300]
    except (ValueError, KeyError, TypeError):
        return ""


def lock(folder: Path) -> Iterator[str]:
    """Add a version for every FOLDER/*.avsc that differs from its last one; says each in a line.

    Known ids and stored files are never touched, not even when a schema is gone. A schema that cannot read what an
    earlier version wrote is a RegistryError, and nothing is changed then.
    """
    subjects = read_lock(folder)
    next_id = 1 + max((entry.id for entries in subjects.values() for entry in entries), default=0)
    changed = []
    for path in sorted(folder.glob("*.avsc")):
        subject = f"{path.stem}-value"
        text = path.read_text(encoding="utf-8")
        schema = json.loads(text)
        mark = fingerprint(schema)
        entries = subjects.setdefault(subject, [])
        if entries and entries[-1].fingerprint == mark:
            continue
        for entry in entries:
            wrong = problems(schema, json.loads((folder / entry.file).read_text(encoding="utf-8")))
            if wrong:
                raise RegistryError(f"{path.name} cannot read records of version {entry.version}: {wrong[0]}")
        changed.append((subject, entries, text, mark))
    for subject, entries, text, mark in changed:
        number = len(entries) + 1
        stored = folder / "versions" / subject / f"{number}.avsc"
        stored.parent.mkdir(parents=True, exist_ok=True)
        stored.write_text(text, encoding="utf-8")
        entries.append(Version(number, next_id, mark, stored.relative_to(folder).as_posix()))
        yield f"{subject}: version {number}, id {next_id}"
        next_id += 1
    lines = ",\n".join(
        f"  {json.dumps(subject)}: [\n"
        + ",\n".join(
            "    "
            + json.dumps(
                {"version": entry.version, "id": entry.id, "fingerprint": entry.fingerprint, "file": entry.file}
            )
            for entry in entries
        )
        + "\n  ]"
        for subject, entries in sorted(subjects.items())
    )
    (folder / LOCK_FILE).write_text("{\n" + lines + "\n}\n", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """`lock [FOLDER]`: exit 0, 1 if a schema cannot be added, 2 on wrong use."""
    if not arguments or arguments[0] != "lock" or len(arguments) > 2:
        print("usage: python -m streams.engine.codec.registry lock [FOLDER]", file=sys.stderr)
        return 2
    folder = Path(arguments[1] if len(arguments) == 2 else "schemas")
    if not folder.is_dir():
        print(f"{folder}: no such folder", file=sys.stderr)
        return 2
    try:
        for said in lock(folder):
            print(said)
    except (RegistryError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
