"""Seeded schedules of faults over the in-process runner, each compared with an unbroken run."""
