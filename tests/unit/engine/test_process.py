"""Garbage is not looked for while a worker starts, and is afterwards; what is freed goes back to the system."""

from __future__ import annotations

import gc
import subprocess
import sys

import pytest

from streams.engine.process import haste


def test_a_start_in_haste_ends_with_the_collector_at_work_again() -> None:
    with haste():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(OSError, match="no broker"), haste():
        raise OSError("no broker")
    assert gc.isenabled()


HOLES = """
import ctypes
from streams.engine.process import give_back, settle

def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

settle()
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
size, many = 2_000, 40_000

def block() -> int:
    at = libc.malloc(size)
    ctypes.memset(at, 1, size)
    return at

blocks = [block() for _ in range(many)]
full = resident()
for number, at in enumerate(blocks):
    if number % 64:
        libc.free(at)
holed = resident()
give_back()
print(full - holed, holed - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_lies_free_between_blocks_that_are_kept_is_given_back() -> None:
    """The limit: three quarters of 80 MB, of which one block in 64 is kept."""
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)
    by_itself, given_back = map(int, done.stdout.split())
    assert by_itself < 10_000_000, "glibc did it: then there is no need of ours"
    assert given_back > 60_000_000


BATCHES = """
from streams.engine.process import settle

def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

settle()
bytes(8_000_000)  # a large block freed: glibc's own limit would now be eight megabytes
batches, kept = [], []
for _ in range(60):
    batches.append(bytearray(1_000_000))
    kept.append(bytearray(100_000))
full = resident()
batches.clear()
print(full - resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_large_blocks_leave_no_holes() -> None:
    done = subprocess.run([sys.executable, "-c", BATCHES], capture_output=True, text=True, check=True)
    assert int(done.stdout) > 55_000_000
