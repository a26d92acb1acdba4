"""Whole stories through the in-process runner: events in, states out."""
