"""Invoices: from the wish for one to its PDF and, where money goes back, to its red one (TAX-01 to TAX-17).

    references  what operations set: profiles, tax codes, caps of places, contracts
    integrity   TAX-10: a tax number is the same bytes at each hop
    buyer       TAX-01 to TAX-04, TAX-12: who an invoice is for
    codes       TAX-05: under which tax code goods are invoiced
    orders      TAX-08: how far the invoice of an order is        standing  what it is about and waits for
    refunds, reds  TAX-09: what is taken back, and of which lines
    groups      TAX-07: orders that wait for one invoice      closing, split  TAX-06: invoices made of them
    invoice     one invoice, its record and requests          answers  what the tax service says
    profiles    TAX-02, TAX-14                                match  TAX-13      report  TAX-13 to TAX-15, by month
    rate        TAX-16: how often requests fail               steps  one message, one timer
    ending      when the rows of an order end
    settings    every number

Everything about a customer lies in the partition of its key, so orders meet there without a lock. Nothing is known of
orders that nobody wants an invoice for.
"""
