"""A process that keeps freed memory does not fetch it from the system again and again."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.io.memory import keep_freed_memory

pytestmark = pytest.mark.contract

#: Touches 64 MB, frees them, and does so again; prints how many pages the system had to hand out the second time.
_PROGRAM = """
import ctypes, resource, sys
from jobs.io.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
libc, size = ctypes.CDLL(None), 64 << 20
libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_size_t], [ctypes.c_void_p]
def touch():
    before, place = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, libc.malloc(size)
    ctypes.memset(place, 1, size)
    libc.free(place)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(min(touch() for _ in range(3)))
"""


def pages(how: str) -> int:
    told = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return int(told.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc is Linux's")
def test_freed_memory_is_kept_for_the_next_tensor() -> None:
    assert pages("keep") < 100 < 1000 < pages("default")


def test_a_library_without_the_switch_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.io.memory.ctypes.CDLL", lambda name: object())
    assert keep_freed_memory() is False
