"""What brings records of a topic to systems outside: a reader of the topic, a file of what is to go out, and the life
of the process between them.

`oms notify` brings alerts to people with it, `oms tax run` requests to the tax service.
"""
