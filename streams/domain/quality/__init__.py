"""How far the systems agree, day by day: what the facts of an order say about those that told them.

    settings   hour, limits, classes          row     what is kept of an order
    look       a partition's part of a day    record  what the parts of a day say: the five reports

ST-07 state consistency, DQ-06 faults in the order of events, LOG-12 lag of signatures, FIN-14 age of what customers
have not confirmed, ST-03 status codes that no map knows.
"""
