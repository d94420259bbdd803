"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h
_MOST = (1 << 31) - 1


def keep_freed_memory() -> bool:
    """Have this process keep freed memory for the next tensor of that size instead of giving it back.

    A training makes and frees the same large tensors in every step. By default glibc gives them back to the system,
    which hands them out again page by page, each wiped (`make bench ONLY=steps.freed_memory`).

    Returns:
        Was it told so? Other C libraries know no such switch.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_M_MMAP_THRESHOLD, 1 << 30)) and bool(mallopt(_M_TRIM_THRESHOLD, _MOST))
