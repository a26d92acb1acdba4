"""Runs calls one after the other on a thread of their own, so that one which never returns can be left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue


class OneThread:
    """A daemon thread: it does not keep the process from ending. Some 20 us per call."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._answers: SimpleQueue[BaseException | None] = SimpleQueue()
        threading.Thread(target=self._loop, name=f"{name}-commit", daemon=True).start()

    def start(self, call: Callable[[], None]) -> None:
        """Run ``call`` on the thread; ``wait`` must follow before the next one."""
        self._calls.put(call)

    def wait(self, seconds: float) -> None:
        """Until the call is over; raises what it raises, or TimeoutError - then this object is of no more use."""
        try:
            error = self._answers.get(timeout=seconds)
        except Empty:
            raise TimeoutError from None
        if error is not None:
            raise error

    def end(self) -> None:
        """Let the thread end once it is free."""
        self._calls.put(None)

    def _loop(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except BaseException as error:
                self._answers.put(error)
            else:
                self._answers.put(None)
            del call
