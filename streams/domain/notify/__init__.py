"""Which messages an alert causes, to whom, when, and in which words (OTH-05). Sending is `streams.notify`'s.

routing   which targets an alert goes to         plan   an alert's news against what is noted of it: what is to be told
pace      limits by the minute, digests, retries         text   the words
"""
