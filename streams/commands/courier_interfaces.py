"""`oms couriers check`: what couriers' back-offices hold about us, from a file (LOG-07).

    exit_ips: [203.0.113.7]                       the addresses that we call couriers from
    callback: https://oms.example.com/couriers    where we listen
    retired_domains: [old.example.com]            beside those of rules/logistics.json
    couriers:                                     what the back-office of each shows; what is left out is not checked
      zto: {whitelist: [203.0.113.0/24], callback: "https://oms.example.com/couriers"}

A courier may have `exit_ips`, `retired_domains` and `expected_callback` of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streams.domain.logistics import interfaces
from streams.errors import UsageError

_TOP = {"exit_ips", "callback", "retired_domains", "couriers"}
SOURCE = "oms-couriers-check"


def read(path: Path) -> dict[str, dict[str, Any]]:
    """What the file says, by courier. UsageError with one line."""
    import yaml

    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise UsageError(f"{path} cannot be read as YAML") from None
    couriers = document.get("couriers") if isinstance(document, dict) else None
    if not isinstance(couriers, dict) or not couriers or document.keys() - _TOP:
        raise UsageError(f"{path}: needs `couriers`, and beside it at most {', '.join(sorted(_TOP - {'couriers'}))}")
    ours = {name: document[name] for name in ("exit_ips", "retired_domains") if name in document}
    if "callback" in document:
        ours["expected_callback"] = document["callback"]
    found = {}
    for name, held in couriers.items():
        if not isinstance(held, dict) or held.keys() - {*interfaces.FIELDS}:
            raise UsageError(f"{path}: {name} may have {', '.join(interfaces.FIELDS)}")
        found[str(name)] = {**ours, **held}
        for field, value in found[str(name)].items():
            if why := interfaces.wrong(field, value):
                raise UsageError(f"{path}: {field} of {name} {why}")
    return found


def judge(found: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """What is wrong, by courier."""
    from streams.domain.rules.data import logistics

    retired = logistics().retired_domains
    return {name: interfaces.findings(held, retired) for name, held in found.items()}


def events(found: Mapping[str, Mapping[str, Any]], at: int) -> list[tuple[str, dict[str, Any]]]:
    """(key, `ops` event) that tells the workers, which alert."""
    return [
        (
            name,
            {
                "event_id": f"courier_interface/{name}/{at}",
                "event_type": "reference_set",
                "event_time": at,
                "source": SOURCE,
                "value": json.dumps({"kind": "courier_interface", "courier": name, **held}, ensure_ascii=False),
            },
        )
        for name, held in found.items()
    ]
