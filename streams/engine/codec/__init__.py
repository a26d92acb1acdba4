"""Bytes on the wire and back: Avro in the Confluent wire format at the edges, JSON inside."""
