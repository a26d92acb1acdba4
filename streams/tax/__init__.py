"""`oms tax run`: invoices to the tax service, its answers back. A process of its own beside the workers.

service   what a tax service is to this program      http     one that speaks JSON over HTTP      fake   one for tests
outbox    what is to be asked, and was answered      adapter  the loop                            metrics
"""
