"""Couriers without an interface (LOG-08): a row of their daily list becomes an event of the topic `couriers`."""

from streams.domain.courier_file.layout import Heading, Layout, Layouts
from streams.domain.courier_file.rows import Judged, Numbers, Reader, Table

__all__ = ["Heading", "Judged", "Layout", "Layouts", "Numbers", "Reader", "Table"]
