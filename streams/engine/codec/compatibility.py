"""BACKWARD compatibility of Avro schemas: can a reader of the new one read what a writer of the old one wrote?

The rules of schema resolution in the Avro 1.11 specification, without aliases, which no schema here uses. Asked about
every stored version (BACKWARD_TRANSITIVE), since compacted topics keep records of the first version for ever.
"""

from typing import Any, Final

_PROMOTED: Final = {
    "int": {"long", "float", "double"},
    "long": {"float", "double"},
    "float": {"double"},
    "string": {"bytes"},
    "bytes": {"string"},
}


def problems(reader: Any, writer: Any) -> list[str]:
    """Why records of schema `writer` cannot be read with schema `reader`, one line per field; empty if they can."""
    return _compare(reader, writer, str(reader.get("name", "")), _names(reader, {}), _names(writer, {}), frozenset())


def _names(schema: Any, found: dict[str, Any]) -> dict[str, Any]:
    """Every named type of a schema, by its name without namespace."""
    if isinstance(schema, list):
        for branch in schema:
            _names(branch, found)
    elif isinstance(schema, dict):
        if "name" in schema and schema.get("type") in ("record", "enum", "fixed"):
            found[_short(schema["name"])] = schema
        for field in schema.get("fields", ()):
            _names(field["type"], found)
        for inner in ("items", "values", "type"):
            if isinstance(schema.get(inner), dict | list):
                _names(schema[inner], found)
    return found


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _resolve(schema: Any, names: dict[str, Any]) -> Any:
    """The schema itself behind a name or behind {"type": {...}}."""
    while True:
        if isinstance(schema, str) and _short(schema) in names:
            schema = names[_short(schema)]
        elif isinstance(schema, dict) and isinstance(schema["type"], dict | list):
            schema = schema["type"]
        else:
            return schema


def _kind(schema: Any) -> str:
    if isinstance(schema, list):
        return "union"
    return str(schema["type"]) if isinstance(schema, dict) else str(schema)


def _compare(
    reader: Any, writer: Any, path: str, r_names: dict[str, Any], w_names: dict[str, Any], inside: frozenset[str]
) -> list[str]:
    reader, writer = _resolve(reader, r_names), _resolve(writer, w_names)
    r_kind, w_kind = _kind(reader), _kind(writer)

    def inner(r: Any, w: Any, where: str) -> list[str]:
        return _compare(r, w, where, r_names, w_names, inside)

    if w_kind == "union":
        # Each branch that may have been written must be readable.
        return [text for branch in writer for text in inner(reader, branch, path)]
    if r_kind == "union":
        tries = [inner(branch, writer, path) for branch in reader]
        if [] in tries:
            return []
        # The branch of the same kind tells best what is wrong.
        same = [
            found for branch, found in zip(reader, tries, strict=True) if _kind(_resolve(branch, r_names)) == w_kind
        ]
        return same[0] if same else [f"{path}: {w_kind} was written, and no branch of the union reads it"]
    if r_kind != w_kind:
        promoted = r_kind in _PROMOTED.get(w_kind, set())
        return [] if promoted else [f"{path}: {w_kind} was written and cannot be read as {r_kind}"]
    if r_kind == "array":
        return inner(reader["items"], writer["items"], f"{path}[]")
    if r_kind == "map":
        return inner(reader["values"], writer["values"], f"{path}{{}}")
    if r_kind not in ("record", "enum", "fixed"):
        return []
    if _short(reader["name"]) != _short(writer["name"]):
        return [f"{path}: {writer['name']} was written and is not {reader['name']}"]
    if r_kind == "fixed":
        return [] if reader["size"] == writer["size"] else [f"{path}: the size changed"]
    if r_kind == "enum":
        lost = [symbol for symbol in writer["symbols"] if symbol not in reader["symbols"]]
        return [f"{path}: symbols {', '.join(lost)} were removed"] if lost and "default" not in reader else []
    if reader["name"] in inside:
        return []  # a type that holds itself: already being compared
    inside |= {reader["name"]}
    written = {field["name"]: field for field in writer["fields"]}
    found = []
    for field in reader["fields"]:
        where = f"{path}.{field['name']}"
        if field["name"] in written:
            found += inner(field["type"], written[field["name"]]["type"], where)
        elif "default" not in field:
            found.append(f"{where}: new and without a default")
    return found
