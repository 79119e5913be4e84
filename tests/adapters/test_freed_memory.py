"""Memory that connections have freed goes back to the machine, in a process of its own since the setting is the process's."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, sys
from local_controller.adapters.freed_memory import return_large_blocks

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "arena ordblks smblks hblks hblkhd a b c d e".split()]

libc = ctypes.CDLL(None)
libc.malloc.restype, libc.mallinfo2.restype = ctypes.c_void_p, Mallinfo2
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "set":
    assert return_large_blocks()
libc.free(libc.malloc(256 * 1024))  # glibc learns from this one, unless it is told otherwise
before = libc.mallinfo2().hblks
libc.malloc(256 * 1024)
print(libc.mallinfo2().hblks - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc does")
@pytest.mark.parametrize(("told", "from_the_machine"), [("set", "1"), ("not set", "0")])
def test_a_large_block_comes_from_the_machine_also_after_one_was_freed(told: str, from_the_machine: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, told], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == from_the_machine
