"""How much memory this process has taken at most."""

from __future__ import annotations

import sys
from pathlib import Path


def peak_memory() -> int | None:
    """The largest resident size of this process so far in bytes; None where the system does not say.

    On Linux from /proc: `getrusage` begins with the size of the process that started this one.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
