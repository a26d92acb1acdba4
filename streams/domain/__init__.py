"""The rules of order management: pure functions over plain values. Standard library only, no I/O, no clock."""
