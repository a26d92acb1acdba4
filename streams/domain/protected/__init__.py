"""DQ-11: fields of tax and finance that no step on their way may change (`rules/protected.json`).

    seal       a hash of each protected field, taken at the first hop and compared at each later one
    cleaning   what may be changed all the same: by whom it was confirmed, and of what share of the orders (canary)
    settings   the lists

A value is its bytes: text is never read as a number, so a tax number keeps its leading zeros or the hop is named.
"""
