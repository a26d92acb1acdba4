"""Benchmarks: the engine beside its peers on one job, and the real pipeline. Run as ``python -m bench``."""
