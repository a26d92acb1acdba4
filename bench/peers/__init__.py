"""One runner per system. Each is told what to do by ``BENCH_*`` variables, see :mod:`bench.peers.contract`."""
