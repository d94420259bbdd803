"""Take the disk away from this process: every fsync fails, as on a disk that is dying, or files may not grow any more."""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct

_CALLS = {"x86_64": (74, 75, 317), "aarch64": (82, 83, 277)}  # fsync, fdatasync, seccomp
_NO_NEW_PRIVS, _SET_FILTER, _OF_EVERY_THREAD = 38, 1, 1
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EIO
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def fail_every_fsync() -> None:
    """From now on the kernel answers EIO to every thread of this process."""
    fsync, fdatasync, seccomp = _CALLS[platform.machine()]
    code = ctypes.create_string_buffer(
        struct.pack("HBBI", _LOAD_NUMBER, 0, 0, 0)
        + struct.pack("HBBI", _JUMP_IF_EQUAL, 2, 0, fsync)
        + struct.pack("HBBI", _JUMP_IF_EQUAL, 1, 0, fdatasync)
        + struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)
        + struct.pack("HBBI", _RETURN, 0, 0, _FAIL)
    )
    program = _Program(5, ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    is_set = libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    if not is_set or libc.syscall(seccomp, _SET_FILTER, _OF_EVERY_THREAD, ctypes.byref(program)):
        raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def let_no_file_grow_beyond(num_bytes: int) -> None:
    """What a full disk is to one process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
