"""Take the disk away from this process: every fsync fails, as on a disk that is dying, or files may not grow any more."""

from __future__ import annotations

import ctypes
import errno
import platform
import resource
import struct

_FSYNC = {"x86_64": (74, 75), "aarch64": (82, 83)}  # fsync, fdatasync
_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000 | errno.EIO
_LOAD_NUMBER, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def fail_every_fsync() -> None:
    """From now on the kernel answers EIO to this thread, and to those that it starts."""
    fsync, fdatasync = _FSYNC[platform.machine()]
    code = ctypes.create_string_buffer(
        struct.pack("HBBI", _LOAD_NUMBER, 0, 0, 0)
        + struct.pack("HBBI", _JUMP_IF_EQUAL, 2, 0, fsync)
        + struct.pack("HBBI", _JUMP_IF_EQUAL, 1, 0, fdatasync)
        + struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)
        + struct.pack("HBBI", _RETURN, 0, 0, _FAIL)
    )
    program = _Program(5, ctypes.cast(code, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in ((_NO_NEW_PRIVS, 1, 0, 0, 0), (_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0)):
        if libc.prctl(*arguments):
            raise OSError(ctypes.get_errno(), "the kernel takes no filter")


def let_no_file_grow_beyond(num_bytes: int) -> None:
    """What a full disk is to one process."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, num_bytes))
