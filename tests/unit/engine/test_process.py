"""Garbage is not looked for while a worker starts, and is afterwards, however the start went."""

from __future__ import annotations

import gc

import pytest

from streams.engine.process import haste


def test_a_start_in_haste_ends_with_the_collector_at_work_again() -> None:
    with haste():
        assert not gc.isenabled()
    assert gc.isenabled()
    with pytest.raises(OSError, match="no broker"), haste():
        raise OSError("no broker")
    assert gc.isenabled()
