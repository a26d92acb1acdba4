"""What brings records of a topic to systems outside: a reader of the topic, and a file of what is to go out.

`oms notify` brings alerts to people with it, `oms tax run` requests to the tax service.
"""
