"""CPU time of a runner's whole process tree, from /proc: user and system seconds, children included."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """CPU seconds of the process ``root`` and all its living descendants, and of those they have waited for."""
    return sum(_ticks(pid) for pid in tree(root)) / _TICKS


def rss_bytes(root: int) -> int:
    """Resident memory of the process ``root`` and all its living descendants."""
    page = os.sysconf("SC_PAGE_SIZE")
    total = 0
    for pid in tree(root):
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * page
        except OSError:  # it ended meanwhile
            continue
    return total


def tree(root: int) -> list[int]:
    """``root`` and its living descendants."""
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        try:
            for task in os.scandir(f"/proc/{pid}/task"):
                waiting.extend(int(child) for child in Path(task.path, "children").read_text().split())
        except OSError:
            continue
    return found


def _ticks(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    # The command in parentheses may hold spaces; utime, stime, cutime and cstime are fields 14 to 17.
    fields = stat.rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15])
