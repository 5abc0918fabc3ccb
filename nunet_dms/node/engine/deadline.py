"""The program that ends a job from inside its container, should no worker live to stop it.

    PID 1, Docker's init --> this program, forks --> becomes the init again, for the job's command
                                   +--> timer: sleeps, SIGTERM to all, sleeps, SIGKILL to all

It is a static ELF file of less than 400 bytes, made here byte by byte, so that it runs in any
image, one without a shell or a libc too. Its times stand in it. It is called as
`program INIT -s -- COMMAND ...` and hands all but its own name on: the init looks the command up in
PATH, passes signals on and ends with its exit code, as before.

A job can kill the timer, which runs as the same user: this guards against a dead worker, not
against the job. The worker's own limit comes first, and from outside.

Assembled by GNU as 2.40; `tests/docker/test_deadline.py` holds the bytes to what they are to do.
Layout: System V ABI, ELF-64; call numbers: the kernel's unistd.h of each architecture.
"""

from __future__ import annotations

import platform
import struct

DEADLINE_PATH = "/dev/nunet-deadline"
"""Where a container finds it: in a file system that the engine makes, whatever the image and the
job's own folders are."""
INIT_PATH = "/sbin/docker-init"
"""Where Docker puts its init."""
OWN_PROCESSES = 2
"""The timer and the second init count among a container's processes."""

_X86_64 = """
31 ff                 xor edi, edi          # SIG_BLOCK, before there is a timer to be hit
48 8d 35 a7 00 00 00  lea rsi, [rip+mask]   # all: a job's `kill -1` in a shell leaves it alone
48 8d 54 24 f8        lea rdx, [rsp-8]      # where the mask goes that was before
41 ba 08 00 00 00     mov r10d, 8           # bytes of a signal mask
b8 0e 00 00 00        mov eax, 14           # rt_sigprocmask(SIG_BLOCK, mask, before, 8)
0f 05                 syscall
b8 39 00 00 00        mov eax, 57           # fork()
0f 05                 syscall
85 c0                 test eax, eax
74 3c                 jz timer              # 0: the child; if it failed, go on without
bf 02 00 00 00        mov edi, 2            # SIG_SETMASK
48 8d 74 24 f8        lea rsi, [rsp-8]
31 d2                 xor edx, edx
41 ba 08 00 00 00     mov r10d, 8
b8 0e 00 00 00        mov eax, 14           # rt_sigprocmask(SIG_SETMASK, before, 0, 8)
0f 05                 syscall
48 8b 14 24           mov rdx, [rsp]        # argc
48 8d 74 24 10        lea rsi, [rsp+16]     # argv + 1: without our own name
48 8b 3e              mov rdi, [rsi]        # the program to become
48 8d 14 d6           lea rdx, [rsi+rdx*8]  # the environment follows argv and its null
b8 3b 00 00 00        mov eax, 59           # execve(rdi, rsi, rdx)
0f 05                 syscall
bf 7f 00 00 00        mov edi, 127          # there is no such program
b8 3c 00 00 00        mov eax, 60           # exit(127)
0f 05                 syscall
48 8d 3d 4f 00 00 00  timer: lea rdi, [rip+limit]
31 f6                 xor esi, esi
b8 23 00 00 00        mov eax, 35           # nanosleep(limit, 0): by the monotonic clock
0f 05                 syscall
48 83 cf ff           or rdi, -1            # every process but PID 1 and ourselves
be 0f 00 00 00        mov esi, 15           # SIGTERM
b8 3e 00 00 00        mov eax, 62           # kill(-1, SIGTERM)
0f 05                 syscall
48 8d 3d 3f 00 00 00  lea rdi, [rip+grace]
31 f6                 xor esi, esi
b8 23 00 00 00        mov eax, 35           # nanosleep(grace, 0)
0f 05                 syscall
48 83 cf ff           or rdi, -1
be 09 00 00 00        mov esi, 9            # SIGKILL; the second init dies, PID 1 ends with 137
b8 3e 00 00 00        mov eax, 62           # kill(-1, SIGKILL)
0f 05                 syscall
31 ff                 xor edi, edi
b8 3c 00 00 00        mov eax, 60           # exit(0)
0f 05                 syscall
90                    nop                   # the data begins at a multiple of 8
90                    nop
90                    nop
90                    nop
90                    nop
"""
_AARCH64 = """
00 00 80 d2           mov x0, 0             # SIG_BLOCK
e1 05 00 10           adr x1, mask
e2 23 00 d1           sub x2, sp, 8         # where the mask goes that was before
03 01 80 d2           mov x3, 8             # bytes of a signal mask
e8 10 80 d2           mov x8, 135           # rt_sigprocmask(SIG_BLOCK, mask, before, 8)
01 00 00 d4           svc 0
20 02 80 d2           mov x0, 17            # SIGCHLD
01 00 80 d2           mov x1, 0
02 00 80 d2           mov x2, 0
03 00 80 d2           mov x3, 0
04 00 80 d2           mov x4, 0
88 1b 80 d2           mov x8, 220           # clone(SIGCHLD, 0, 0, 0, 0): a fork
01 00 00 d4           svc 0
00 02 00 b4           cbz x0, timer         # 0: the child; if it failed, go on without
40 00 80 d2           mov x0, 2             # SIG_SETMASK
e1 23 00 d1           sub x1, sp, 8
02 00 80 d2           mov x2, 0
03 01 80 d2           mov x3, 8
e8 10 80 d2           mov x8, 135           # rt_sigprocmask(SIG_SETMASK, before, 0, 8)
01 00 00 d4           svc 0
e2 03 40 f9           ldr x2, [sp]          # argc
e1 43 00 91           add x1, sp, 16        # argv + 1: without our own name
20 00 40 f9           ldr x0, [x1]          # the program to become
22 0c 02 8b           add x2, x1, x2, lsl 3 # the environment follows argv and its null
a8 1b 80 d2           mov x8, 221           # execve(x0, x1, x2)
01 00 00 d4           svc 0
e0 0f 80 d2           mov x0, 127           # there is no such program
c8 0b 80 d2           mov x8, 94            # exit_group(127)
01 00 00 d4           svc 0
a0 02 00 10           timer: adr x0, limit
01 00 80 d2           mov x1, 0
a8 0c 80 d2           mov x8, 101           # nanosleep(limit, 0)
01 00 00 d4           svc 0
00 00 80 92           mov x0, -1            # every process but PID 1 and ourselves
e1 01 80 d2           mov x1, 15            # SIGTERM
28 10 80 d2           mov x8, 129           # kill(-1, SIGTERM)
01 00 00 d4           svc 0
20 02 00 10           adr x0, grace
01 00 80 d2           mov x1, 0
a8 0c 80 d2           mov x8, 101           # nanosleep(grace, 0)
01 00 00 d4           svc 0
00 00 80 92           mov x0, -1
21 01 80 d2           mov x1, 9             # SIGKILL
28 10 80 d2           mov x8, 129           # kill(-1, SIGKILL)
01 00 00 d4           svc 0
00 00 80 d2           mov x0, 0
c8 0b 80 d2           mov x8, 94            # exit_group(0)
01 00 00 d4           svc 0
"""
_CODE_COLUMNS = 21
"""Of a line above: its bytes in hex; the rest is for people."""
_MACHINES = {"x86_64": (62, _X86_64), "aarch64": (183, _AARCH64)}
"""uname's word -> ELF's number and the code."""
_ELF_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOADED_AT = 0x400000
_PAGE = 0x10000
"""The largest page that either architecture may have."""


def deadline_program(after_s: int, grace_s: int, machine: str | None = None) -> bytes | None:
    """Return the program for this machine: SIGTERM after so many seconds, SIGKILL after the grace.

    None for a machine that we have no code for; its jobs go without.
    """
    known = _MACHINES.get(machine or platform.machine())
    if known is None:
        return None
    number, listing = known
    mask_limit_grace = struct.pack("<Qqqqq", 2**64 - 1, after_s, 0, grace_s, 0)
    body = _assembled(listing) + mask_limit_grace
    start = _ELF_HEADER.size + _SEGMENT.size
    identity = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")  # 64 bits, little-endian, version 1
    header = _ELF_HEADER.pack(
        identity, 2, number, 1, _LOADED_AT + start,  # an executable, and where it begins
        _ELF_HEADER.size, 0, 0, _ELF_HEADER.size, _SEGMENT.size, 1, 0, 0, 0,
    )  # fmt: skip
    size = start + len(body)
    segment = _SEGMENT.pack(1, 5, 0, _LOADED_AT, _LOADED_AT, size, size, _PAGE)  # read, execute
    return header + segment + body


def _assembled(listing: str) -> bytes:
    lines = listing.strip().splitlines()
    return b"".join(bytes.fromhex(line[:_CODE_COLUMNS]) for line in lines)
