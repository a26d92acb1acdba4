"""Three-way match: sales, shipment and receipt of every order, kept beside each other as events come (FIN-04, FIN-05).

    row        what is known of an order: its price and pieces, money, parcels
    compare    when it is complete enough to be compared, and by how much the three differ
    report     the run every two hours: parts, records, alerts; the totals of a month before it closes
    settings   every number

An agent of its own, since the ledger neither reads what warehouses say nor has anything that happens by the hour.
"""
