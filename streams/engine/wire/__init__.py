"""A transactional producer of our own, on Kafka's wire protocol (KIP-98, KIP-447, KIP-890 part 2).

librdkafka sends one request per partition and enters partitions into a transaction by further ones, one after the
other: some 60 round trips for a turn that writes to 6 topics of 8 partitions. A broker of transaction version 2 enters
what a produce request names by itself, and takes all partitions in one. So a transaction is three requests: produce,
offsets, end. What is missing for it (an older broker, a kind of security, the C extension) leaves the producer to
librdkafka.

    _batch.c        records to record batches, partitioner, checksum
    protocol.py     requests and responses
    connection.py   one connection, TLS and SASL
    security.py     what of librdkafka's settings a connection needs
    cluster.py      brokers, leaders, coordinators
    producer.py     the transaction
"""
