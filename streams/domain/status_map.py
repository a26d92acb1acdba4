"""What another system's status word means here (ST-03, OTH-08): versioned tables, by (platform, field, code).

A word is never judged on its own: the tables of the speaking source come first, then those of its courier or channel,
and only then the words of the whole category (any shop front, any courier, any WMS). A platform that has a table of
its own is not judged by the category's codes; only rows whose field is `*` (words that say what they mean in any
field) still hold for it. A word that none of them knows may be one of ours: the name of a node or state.

Names of speakers and fields are the same however they are spelled: order_state, orderState and Order-State; a shop of a
platform (taobao-shop1) speaks its words, unless it has a table of its own; a path such as trade.status is the first
field in it that the table knows. Without a field the default fields count, and beyond them a word (never a number) that
means one thing in whichever field of its table it stands. A platform's word is the same in other letters (Shopify's
webhooks say delivered where its API says DELIVERED), unless that makes it another's.

One kind of row goes before all of this: that of a category for one event type, such as the pickup callback 201, which
means the same from every courier whatever else its table has under that number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import takewhile
from typing import Any, Final

from streams.domain.rules.nodes import NODES, STATES
from streams.domain.spelling import bare, beginnings

STATE_OF_NODE: Final[Mapping[str, str]] = {node.name: node.state for node in NODES}
FLAGS: Final = ("closed", "partially_refunded", "refunded", "frozen", "locked", "invoice_red", "conflict", "gap")
HELD_FLAGS: Final = ("frozen", "locked")
"""Flags of a status that hold while it is the last word of its source in its field."""
EVENTS: Final = ("created", "paid", "shipped", "signed", "refunded", "invoiced")
TOPICS: Final = ("orders", "couriers", "wms")

# LOG-05: the courier words that end a delivery. Four are named by the source, eight are defaults.
TERMINAL_WORDS: Final = (
    *("已签收", "本人签收", "他人代签", "门卫代收"),
    *("家人代收", "同事代收", "前台代收", "物业代收", "邻居代收", "驿站代收", "快递柜代收", "代收点签收"),
)

# What else 签 and 收 stand in, and what denies or puts off a signature. A word that is neither clearly one nor clearly
# none is left alone: an order that stays where it is for a day does less harm than one that is called delivered.
_OTHER_SENSES: Final = (
    *("揽收", "收件", "收货人", "签收人", "收货地址", "收入", "集收", "收款", "收费", "收取", "收集", "收到订单"),
    *("收寄", "接收", "回收", "催收", "收单", "收包", "签单", "签发", "标签", "加签", "签约", "电子签"),
)
_DENIED: Final = (
    *("拒", "未", "没", "不", "无", "非", "待", "退", "失败", "异常", "取消", "超时", "预约", "改签", "误", "虚假"),
    *("撤", "部分", "取出", "即将", "准备", "预计", "通知", "提醒", "催", "要求", "请", "?", "？"),
)

AT_PICKUP_POINT: Final = "delivery:at_pickup_point"
"""The axis of a parcel that lies in a locker or station until its customer fetches it: nobody is to move it."""
RETURNED: Final = frozenset(
    {
        *("return:signed", "return:done", "return:delivered", "return:received", "return:destroyed"),
        *("return:in_warehouse", "return:refused_in_warehouse", "return:to_sender"),
        *("return:new_waybill", "return:or_forwarded"),
    }
)
"""The axes of a parcel that is back, or goes on under another number: nothing more comes of this one."""
_STAYS: Final = frozenset({"return:cancelled", "return:or_forwarded"})
"""Return axes that do not say that a parcel goes back."""


def goes_back(axis: str | None) -> bool:
    """Whether a courier's word on this axis says that the parcel is on its way back, or back."""
    return axis is not None and axis.startswith("return:") and axis not in _STAYS


_SIGNED: Final = "signed"
"""The contract's word for a delivery, and in capitals ZTO's for a parcel taken out of its locker. Where no field says
whose it is, it is nobody's."""

ANY: Final = "*"
_LONG_NUMBER: Final = re.compile(r"\d{6,}")
_NUMBER: Final = re.compile(r"-?\d+")
_WHOLE: Final = frozenset(
    {
        *("order", "orders", "orderinfo", "fullorderinfo", "trade", "trades", "tradeinfo", "data", "body", "payload"),
        *("raw", "content", "response", "result", "lastresult", "logistics", "waybill", "shipment", "parcel"),
        *("package", "trace", "traces", "track"),
    }
)
"""Parts of the path to a field, `bare`, that say no more than that it is of the order or its parcel."""
_COMMON: Final = frozenset({"status", "state", "code"})
Mapped = dict[str, Any]
"""{"known": bool, "state": atomic state|None, "node": fine node|None, "flags": [..], "event": atomic event|None,
"axis": str|None}. `axis` tells what is no order state, as `name:value`: refund:success, ship:forbidden,
finance:accrual_ready. With "field": str where the table can hold an order and the word is of none of its default
fields: what a source says in one field does not lift the hold of another.
"""

_Rows = Mapping[tuple[str, str, "str | None", str], Mapped]

UNKNOWN: Final[Mapped] = {"known": False, "state": None, "node": None, "flags": [], "event": None, "axis": None}

OURS: Final[Mapping[str, Mapped]] = {
    name: {**UNKNOWN, "known": True, "state": state, "node": name} for name, state in STATE_OF_NODE.items()
}
"""Our own words: nodes, and the states, each of which has a node of its name. Who speaks them has read the contract."""


class MapError(ValueError):
    """A status table that must not be used; the message names the table, the row and what is wrong."""


@dataclass(frozen=True, slots=True)
class Row:
    """One word. `field` None = any of the table's default fields; `*` = any field at all. `topics`: those of its table
    that it holds for. `not_status`: why it moves no order, for a word that is known and is no order status.
    `event_type`: the only one it holds for, before any other row.
    """

    field: str | None
    code: str
    mapped: Mapped
    topics: tuple[str, ...]
    not_status: str | None = None
    note: str | None = None
    event_type: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """The words of one platform, or (`names` holding `*`) of a whole category, as one file says them."""

    name: str
    version: int
    topics: tuple[str, ...]
    names: tuple[str, ...]
    default_fields: tuple[str, ...]
    rows: tuple[Row, ...]


def parse(name: str, document: Any) -> Table:
    """A table from its JSON document. MapError on any row that could not be applied as written."""

    def texts(key: str) -> tuple[str, ...]:
        found = document.get(key)
        if not isinstance(found, list) or not found or not all(isinstance(text, str) and text for text in found):
            raise MapError(f"{name}: {key} must be a list of words")
        return tuple(found)

    if not isinstance(document, Mapping):
        raise MapError(f"{name}: not a record")
    if odd := [key for key in document if key not in _TABLE_KEYS]:
        raise MapError(f"{name}: unknown entry {odd[0]}")
    version = document.get("version")
    if type(version) is not int or version < 1:
        raise MapError(f"{name}: version must be a whole number from 1")
    topics = texts("topics")
    for topic in topics:
        if topic not in TOPICS:
            raise MapError(f"{name}: topic {topic} carries no raw_status")
    rows = document.get("rows")
    if not isinstance(rows, list) or not rows:
        raise MapError(f"{name}: no rows")
    found = tuple(_row(name, number, row, topics) for number, row in enumerate(rows, 1))
    names = texts("names")
    for number, row in enumerate(found, 1):
        if row.event_type is not None and (row.field != ANY or names != (ANY,)):
            raise MapError(f"{name}: row {number} is of one event type: only for field * in a table of all names (*)")
    return Table(name, version, topics, names, texts("default_fields"), found)


_TABLE_KEYS: Final = frozenset({"about", "version", "topics", "names", "default_fields", "rows"})
_ROW_KEYS: Final = frozenset(
    {"field", "code", "state", "node", "flags", "event", "axis", "note", "topics", "not_status", "event_type"}
)


def _row(name: str, number: int, row: Any, of_table: tuple[str, ...]) -> Row:
    where = f"{name}: row {number}"
    if not isinstance(row, Mapping) or not isinstance(row.get("code"), str) or not row["code"]:
        raise MapError(f"{where} has no code")
    for key in row:
        if key not in _ROW_KEYS:
            raise MapError(f"{where} has an unknown entry {key}")
    field, state, node, event, axis = (row.get(name) for name in ("field", "state", "node", "event", "axis"))
    if field is not None and (not isinstance(field, str) or not field):
        raise MapError(f"{where} has a field that is no word")
    flags = row.get("flags", [])
    if state is not None and state not in STATES:
        raise MapError(f"{where} maps to an unknown state")
    if node is not None and not isinstance(node, str):
        raise MapError(f"{where} has a node that is no word")
    if node is not None and STATE_OF_NODE.get(node) != state:
        raise MapError(f"{where} maps to a node that is unknown or not of its state")
    if event is not None and event not in EVENTS:
        raise MapError(f"{where} maps to an unknown event")
    if not isinstance(flags, list) or any(flag not in FLAGS for flag in flags):
        raise MapError(f"{where} maps to an unknown flag")
    if axis is not None and (not isinstance(axis, str) or axis.count(":") != 1):
        raise MapError(f"{where} has an axis that is not written name:value")
    topics = row.get("topics", list(of_table))
    if not isinstance(topics, list) or not topics or any(topic not in of_table for topic in topics):
        raise MapError(f"{where} has a topic that is not one of its table's")
    reason, note = row.get("not_status"), row.get("note")
    if "not_status" in row:
        if not isinstance(reason, str) or not reason.strip():
            raise MapError(f"{where} does not say why it is no order status")
        if state is not None or node is not None or event is not None or flags:
            raise MapError(f"{where} is no order status and yet maps to something")
    if note is not None and not isinstance(note, str):
        raise MapError(f"{where} has a note that is no text")
    event_type = row.get("event_type")
    if event_type is not None and (not isinstance(event_type, str) or not event_type):
        raise MapError(f"{where} has an event_type that is no word")
    mapped = {"known": True, "state": state, "node": node, "flags": list(flags), "event": event, "axis": axis}
    return Row(field, row["code"], mapped, tuple(topics), reason, note, event_type)


class StatusMaps:
    """All tables, checked together. Lookups answer shared values: do not change them."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self.tables = tuple(tables)
        self._rows: dict[tuple[str, str, str | None, str], Mapped] = {}
        self._of_type: dict[tuple[str, str | None, str], Mapped] = {}
        self._named: set[tuple[str, str]] = set()
        self._spelled: dict[tuple[str, str], str] = {}
        self._fields: dict[tuple[str, str], dict[str, list[str]]] = {}
        for table in self.tables:
            self._add(table)
        for table in self.tables:
            self._add_unnamed(table)
        self._folded = self._fold()
        self._check_terminal_words()

    def _add(self, table: Table) -> None:
        holds = any(flag in HELD_FLAGS for row in table.rows for flag in row.mapped["flags"])
        named = {bare(row.field) for row in table.rows if row.field is not None}
        spare = tuple(field for field in table.default_fields if bare(field) not in named)
        for topic in table.topics:
            for name in table.names:
                self._named.add((topic, name))
                self._spelled.setdefault((topic, bare(name)), name)
                fields_of = self._fields.setdefault((topic, name), {})
                for known in dict.fromkeys((*table.default_fields, *(row.field for row in table.rows))):
                    if known not in (None, ANY):
                        fields_of.setdefault(bare(known), []).append(known)
                for row in table.rows:
                    if topic not in row.topics:
                        continue
                    mapped = row.mapped
                    if row.event_type is not None:
                        if (topic, row.event_type, row.code) in self._of_type:
                            raise MapError(f"{table.name}: {row.code} stands twice for {row.event_type} on {topic}")
                        self._of_type[topic, row.event_type, row.code] = mapped
                        continue
                    # A row without a field answers for each default field and for an event that names none.
                    fields = (None, *table.default_fields) if row.field is None else (row.field,)
                    if row.field in table.default_fields:
                        fields = (row.field, None, *spare)
                    elif holds and row.field not in (None, ANY):
                        mapped = {**mapped, "field": row.field}
                    for field in fields:
                        key = (topic, name, field, row.code)
                        if key in self._rows:
                            raise MapError(f"{table.name}: {row.code} stands twice for {name} on {topic}")
                        self._rows[key] = mapped

    def _add_unnamed(self, table: Table) -> None:
        """The words of single fields, for events that name none. Not those that are also a word of ours with another
        state, and on `orders` those that have another meaning elsewhere: a shop front repeats its couriers' words."""
        said: dict[str, dict[str, list[Mapped]]] = {}
        for row in table.rows:
            if row.field is not None and row.event_type is None and not _NUMBER.fullmatch(row.code):
                for topic in row.topics:
                    said.setdefault(row.code, {}).setdefault(topic, []).append(row.mapped)
        for code, by_topic in said.items():
            for topic, found in by_topic.items():
                heard = [mapped for some in by_topic.values() for mapped in some] if topic == "orders" else found
                ours = OURS.get(code.casefold(), found[0])
                if ours["state"] != found[0]["state"] or any(mapped != found[0] for mapped in heard):
                    continue
                field = next(row.field for row in table.rows if row.code == code and topic in row.topics)
                for name in table.names:
                    if name != ANY and field != ANY:
                        self._rows.setdefault((topic, name, None, code), self._rows[topic, name, field, code])

    def _fold(self) -> dict[tuple[str, str, str | None, str], Mapped]:
        """The rows of named platforms by words without case. Not where two words of a field would be one with two
        meanings; and without a field, not where a word of another field would be."""
        said: dict[tuple[str, str, str | None, str], list[Mapped]] = {}
        for (topic, name, field, code), mapped in self._rows.items():
            if name != ANY and code.casefold() != code.upper():
                bare_of_field = {key: value for key, value in mapped.items() if key != "field"}
                for where in {field, None}:
                    said.setdefault((topic, name, where, code.casefold()), []).append(bare_of_field)
        folded = {}
        for (topic, name, field, code), mapped in self._rows.items():
            key = (topic, name, field, code.casefold())
            if (found := said.get(key)) and all(one == found[0] for one in found):
                folded[key] = mapped
        return folded

    def _check_terminal_words(self) -> None:
        couriers = sorted(name for topic, name in self._named if topic == "couriers")
        for name in couriers:
            for word in TERMINAL_WORDS:
                mapped = self.find("couriers", (name,), None, word)
                if mapped["state"] != "logistics_signed":
                    raise MapError(f"courier words of {name}: {word} must end the delivery (LOG-05)")

    @cached_property
    def digest(self) -> str:
        """Of all that the tables say: another digest, another meaning of some word."""
        all_said = (*self._rows.items(), *self._of_type.items(), *OURS.items())
        said = sorted(f"{key!r} {sorted(mapped.items())!r}" for key, mapped in all_said)
        said.extend(sorted(f"{key!r} {sorted(mapped.items())!r}" for key, mapped in self._folded.items()))
        return sha256("\n".join(said).encode()).hexdigest()[:16]

    def find(
        self,
        topic: str,
        speakers: Sequence[str | None],
        field: str | None,
        code: str,
        event_type: str | None = None,
    ) -> Mapped:
        """The meaning of `code` in an event of this type, or UNKNOWN. `speakers`: whose tables count, strongest first
        (source, then courier or channel).
        """
        code = code.strip()
        if (found := self._of_type.get((topic, event_type, code))) is not None:
            return found
        rows, named, own = self._rows, self._named, False
        for name in speakers:
            if name is None:
                continue
            known = name if (topic, name) in named else self._table_of(topic, name)
            if known is not None:
                found = rows.get((topic, known, field, code)) or rows.get((topic, known, ANY, code))
                if found is None and field is not None:
                    found = self._in_field(rows, topic, known, field, code) or self._in_other_letters(
                        topic, known, field, code
                    )
                if found is not None:
                    return found
                own = True
        found = rows.get((topic, ANY, ANY, code))
        if found is None and not own:
            found = rows.get((topic, ANY, field, code))
            if found is None and field is not None:
                found = self._in_field(rows, topic, ANY, field, code)
        if found is not None:
            return found
        folded = code.casefold()
        if own and field is None and folded != _SIGNED:
            tables = (self._table_of(topic, name) for name in speakers if name is not None)
            ways = (self._folded.get((topic, known, None, folded)) for known in tables if known is not None)
            found = next((mapped for mapped in ways if mapped is not None), None)
        return found if found is not None else OURS.get(folded, UNKNOWN)

    def _table_of(self, topic: str, name: str) -> str | None:
        """The name under which a platform has its table, for another spelling of it or the name of a shop of it. What
        begins with a courier's name may be another courier, with codes of its own (sf-freight)."""
        spelled = self._spelled
        if topic == "couriers":
            return spelled.get((topic, bare(name)))
        for short in beginnings(name):
            if (found := spelled.get((topic, short))) is not None:
                return found
        return None

    def _in_other_letters(self, topic: str, name: str, field: str, code: str) -> Mapped | None:
        folded, key = self._folded, code.casefold()
        if key == code.upper():  # numbers, Chinese
            return None
        found = folded.get((topic, name, field, key)) or folded.get((topic, name, ANY, key))
        return found if found is not None else self._in_field(folded, topic, name, field, key)

    def _in_field(self, rows: _Rows, topic: str, name: str, field: str, code: str) -> Mapped | None:
        """What `code` means in a field whose name is spelled in another way, or is a path with the field in it. One of
        a name that many things have must be the order's or its parcel's: `after_sale.status` is not its status."""
        fields_of = self._fields.get((topic, name), {})
        parts = re.split(r"[^\w-]+", field)
        own = sum(1 for _ in takewhile(_is_own, parts))
        for number, part in enumerate((field, *parts)):
            if (spelled := fields_of.get(bare(part))) is None or (number > own + 1 and bare(part) in _COMMON):
                continue
            meanings = (rows.get((topic, name, known, code)) for known in spelled)
            return next((mapped for mapped in meanings if mapped is not None), None)
        return None


def _is_own(part: str) -> bool:
    return bare(part) in _WHOLE or part.isdecimal()


def speakers(topic: str, value: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Whose words an event's raw_status may be. A channel's words count on its own topic only: a parcel of a shop
    front is not that shop front speaking (failure: the shop's "completed" taken for a courier's signature).
    """
    if topic == "couriers":
        return value.get("source"), value.get("courier")
    if topic == "orders":
        return value.get("source"), value.get("channel")
    return (value.get("source"),)


def is_own_type(event_type: str, raw_status: str) -> bool:
    """Whether a status is but the event's type once more: such a word says what an event without one says."""
    return raw_status.strip().casefold() == event_type


def may_be_signed(topic: str, word: str) -> bool:
    """LOG-05: whether a courier's word that no table knows most likely tells of a signature: 签 or 收 in the sense of
    taking the parcel in, and nothing that denies it (拒收, 未签收, 退签, 签收失败) or means something else (揽收).
    """
    if topic != "couriers" or not ("签" in word or "收" in word):
        return False
    for other in _OTHER_SENSES:
        word = word.replace(other, "")
    return ("签" in word or "收" in word) and not any(denial in word for denial in _DENIED)


def says_closed(fact: Mapping[str, Any]) -> bool:
    """Whether a status word of the shop says that the order is closed; perhaps of a part of it alone (FIN-07)."""
    mapped = fact.get("mapped")
    return mapped is not None and fact.get("topic") == "orders" and "closed" in (mapped.get("flags") or ())


def is_at_rest(fact: Mapping[str, Any]) -> bool:
    """Whether a courier's word says that nobody is to move the parcel: its customer is to fetch it, or has it by a word
    that is most likely a signature (LOG-05)."""
    mapped = fact.get("mapped")
    if mapped is None:
        return False
    return mapped.get("axis") == AT_PICKUP_POINT or (
        not mapped["known"] and may_be_signed(fact["topic"], fact.get("raw_status") or "")
    )


def missing_key(source: str, field: str | None, raw_status: str) -> str:
    """Key of the mapping_missing alert about a word of a source, in the field that it names: 40 in another field is
    another word, and a table that knows the one does not end the other's alert."""
    named = f"{masked(field)}/" if field else ""
    return f"ST-03/{source}/{named}{masked(raw_status)}"


def masked(raw_status: str) -> str:
    """A status word fit for an alert: short, on one line, without long numbers (which may be telephones)."""
    return _LONG_NUMBER.sub("#", " ".join(raw_status.split()))[:64]
