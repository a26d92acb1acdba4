"""`oms order`: one order by any of its codes, or a customer's orders (ID-03, ID-06)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.commands.common import Broker, Json, a_text, console, emit_json, note, settings_of


def order(
    code: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            callback=a_text,
            help="order_guid, order, transaction, internal, waybill or package number, or customer.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--from", metavar="DIR", help="Look in a replay's folder instead of the running workers."),
    ] = None,
    broker: Broker = None,
    as_json: Json = False,
) -> None:
    """Where an order stands, why, what each system claims, open alerts, and what is due next."""
    code = code.strip()  # as the order's own codes, which are pasted from files and forms too
    if folder is not None:
        from streams.commands.order_files import find

        orders = find(folder, code)
        looked = str(folder)
    else:
        from streams.commands.order_workers import find as ask

        orders, looked = ask(settings_of(broker=broker), code)
    if not orders:
        note(f"oms: no order and no customer {code!r} known in {looked}")
        raise typer.Exit(1)
    if as_json:
        emit_json(orders[0] if len(orders) == 1 else {"orders": orders})
        return
    from streams.commands.order_view import show

    out = console()
    for number, found in enumerate(orders):
        if number:
            out.print()
        show(out, found)
