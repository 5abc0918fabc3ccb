"""Which instruction sets the CPU has that a program can come to depend on.

/proc/cpuinfo lists some 130 flags. Left out are those that no program's result can depend on:
mitigations and their absence (`ibrs`, `md_clear`), power and thermal (`hwp`, `arat`), what only
kernels and hypervisors use (`smep`, `vmx`), and speed without new instructions (`erms`). They come
and go with microcode and kernel, and would keep a job from machines on which it runs as well.
"""

from __future__ import annotations

import re

FLAGS_MAX = 200
"""As the protocol takes; the newest processors have about 70 of these."""

_X86 = frozenset(
    (  # noqa: SIM905 - a list of 46 lines is not read
        "sse sse2 pni ssse3 sse4_1 sse4_2 sse4a popcnt abm bmi1 bmi2 tbm adx movbe cx16 lahf_lm "
        "rdrand rdseed aes vaes pclmulqdq vpclmulqdq sha_ni sha512 sm3 sm4 gfni f16c fma fma4 xop "
        "avx avx2 avx_vnni avx_vnni_int8 avx_vnni_int16 avx_ifma avx_ne_convert movdiri movdir64b "
        "clflushopt clwb cldemote waitpkg serialize cmpccxadd fsgsbase 3dnow 3dnowext 3dnowprefetch"
    ).split()
)
"""Of the kernel's arch/x86/include/asm/cpufeatures.h; besides, all that begin as below."""
_X86_BEGIN = ("avx512", "avx10", "amx_")
_ARM_HARMLESS = frozenset({"cpuid", "dit", "ecv", "evtstrm", "sb", "ssbs"})
"""An ARM's `Features` are its hardware capabilities, which are there for programs; less these."""
_LINE = re.compile(r"^(flags|Features)[ \t]*:(.*)$", re.MULTILINE)
_NAME = re.compile(r"[a-z0-9_.-]{1,32}")


def instruction_sets(info: str) -> tuple[str, ...]:
    """Return them, sorted, from the text of /proc/cpuinfo; empty where it names none.

    The first core's: the kernel shows of each feature only what all cores have.
    """
    found = _LINE.search(info)
    if found is None:
        return ()
    names = {name for name in found[2].split() if _NAME.fullmatch(name)}
    if found[1] == "Features":
        kept = names - _ARM_HARMLESS
    else:
        kept = {name for name in names if name in _X86 or name.startswith(_X86_BEGIN)}
    return tuple(sorted(kept)[:FLAGS_MAX])
