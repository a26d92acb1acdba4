"""`oms notify`: alerts to people. A process of its own beside the workers; the rules are `streams.domain.notify`.

settings   the file of targets          reader     the topic `alerts`           outbox    what to tell and was told
senders    one function per kind        delivery   the loop of one target       service   all of it together
"""
