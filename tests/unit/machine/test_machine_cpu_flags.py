"""The instruction sets that a program can depend on, out of all that /proc/cpuinfo names."""

from __future__ import annotations

import pytest

from nunet_dms.machine.cpu_flags import FLAGS_MAX, instruction_sets

X86 = (
    "processor\t: 0\nflags\t\t: fpu vme sse2 avx avx2 avx512_bf16 avx512f amx_tile hwp arat smep "
    "md_clear ibrs erms vmx rtm\nprocessor\t: 1\nflags\t\t: fpu sse2\n"
)
ARM = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes crc32 cpuid asimdrdm ssbs sve2\n"


@pytest.mark.parametrize(
    ("info", "sets"),
    [
        (X86, ("amx_tile", "avx", "avx2", "avx512_bf16", "avx512f", "sse2")),
        (ARM, ("aes", "asimd", "asimdrdm", "crc32", "fp", "sve2")),
        ("isa\t: rv64imafdc\n", ()),
        ("", ()),
        ("flags\t: avx \x1b[31m AVX2 " + "x" * 99, ("avx",)),
    ],
)
def test_what_comes_and_goes_with_microcode_is_left_out(info: str, sets: tuple[str, ...]) -> None:
    assert instruction_sets(info) == sets


def test_a_broken_file_does_not_make_a_list_without_end() -> None:
    info = "Features : " + " ".join(f"f{number:04}" for number in range(9999))
    assert len(instruction_sets(info)) == FLAGS_MAX
