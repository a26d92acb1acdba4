"""The stock of one SKU and the rules that fold it. Start at `inventory.step`.

    messages   commands of orders, and replies        inventory  which rule a message is for
    stock      pools, held, available (INV-01, 02)    holds      an order's lines, Try to Confirm or Cancel
    reserve    Try (INV-04, INV-06)                   settle     Confirm, Cancel, expiry, return (INV-07, 08, 14, 17)
    place      which warehouse sends what was sold (INV-10)
    vouchers   carts (INV-05)                         quotas     quotas and activities (INV-03, 09)
    breaker    oversell breaker (INV-11)              warehouse  received, moved, counted (INV-10)
    references what operations set                    options    what to offer instead (CUS-05)
    change     what a message does, as a value        view       the record of inventory-states
    reconcile  a partition's part of the daily reports (INV-13, 16)
"""

from streams.domain.inventory.inventory import due, step, time_of
from streams.domain.inventory.settings import Settings

__all__ = ["Settings", "due", "step", "time_of"]
