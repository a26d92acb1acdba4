"""Kafka Connect to finance: a JDBC sink that keeps tables in PostgreSQL equal to topics, and views on them.

What goes where stands in `connectors/`, the views in `connectors/sql/`, what the worker runs in `java/`.
"""
