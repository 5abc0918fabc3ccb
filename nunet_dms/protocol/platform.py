"""What a machine is to a job that was begun on another one: may it go on here?"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Length, Pattern, ShortText
from nunet_dms.protocol.machine import GPUS_MAX, CpuFlags, MachineFacts

FLAGS_NAMED_MAX = 6
"""CPU flags named in one refusal; a processor ten years older lacks thirty."""

TEXT_MAX_CHARACTERS = 100
"""Of a node's own words in a refusal."""

_RELEASE = re.compile(r"([0-9]{1,9})\.([0-9]{1,9})")
_FAMILY_WORDS = {"linux": "on Linux", "wsl": "under WSL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """That of a machine which a job's own state may depend on; texts are empty where unknown."""

    os_family: Literal["linux", "wsl"]
    architecture: Annotated[str, Pattern(r"[A-Za-z0-9_.-]{0,64}", "a machine type as of uname")]
    kernel: ShortText
    cpu_flags: CpuFlags = ()
    """Instruction sets, sorted, as the kernel names them (see machine/cpu_flags.py)."""
    gpus: Annotated[tuple[ShortText, ...], Length(0, GPUS_MAX)] = ()
    """Models of the GPUs, sorted, each once; of a job that has none, empty."""


def platform_of(machine: MachineFacts) -> Platform:
    """Return the platform that a machine is, with all its GPUs."""
    return Platform(
        os_family="wsl" if machine.kind in {"wsl1", "wsl2"} else "linux",
        architecture=machine.architecture,
        kernel=machine.kernel,
        cpu_flags=machine.cpu_flags,
        gpus=tuple(sorted({gpu.name for gpu in machine.gpus})),
    )


def misfit(needed: Platform, offered: Platform) -> str | None:
    """Say why a job that was begun on `needed` cannot go on on `offered`; None if it can.

    The family and the architecture must be the same, the kernel not older by its first two
    numbers, every CPU flag there, and for a job with GPUs the types of GPU the same. What was not
    known of `needed` is not asked for; what is not known of `offered` does not fit.
    """
    if needed.os_family != offered.os_family:
        here = _FAMILY_WORDS[offered.os_family]
        return f"begun {_FAMILY_WORDS[needed.os_family]}, this node runs {here}"
    if needed.architecture and needed.architecture != offered.architecture:
        return _differs("architecture", needed.architecture, offered.architecture)
    begun, here_now = _release(needed.kernel), _release(offered.kernel)
    if begun is not None and (here_now is None or here_now < begun):
        return _differs("kernel", _plain(needed.kernel), _plain(offered.kernel), " is older")
    if lacking := sorted(set(needed.cpu_flags) - set(offered.cpu_flags)):
        more = f" and {len(lacking) - FLAGS_NAMED_MAX} more" if lacking[FLAGS_NAMED_MAX:] else ""
        return f"this node's CPU lacks {', '.join(lacking[:FLAGS_NAMED_MAX])}{more}"
    if needed.gpus and needed.gpus != offered.gpus:
        return _differs("GPU", _plain(", ".join(needed.gpus)), _plain(", ".join(offered.gpus)))
    return None


def _differs(what: str, begun: str, here: str, how: str = "") -> str:
    known = f"this node's {here}{how}" if here else "this node has none that is known"
    return f"begun with {what} {begun}, {known}"


def _release(kernel: str) -> tuple[int, int] | None:
    found = _RELEASE.match(kernel)
    return (int(found[1]), int(found[2])) if found else None


def _plain(text: str) -> str:
    """Return a node's own words as they may stand in a message: escaped and cut."""
    return ascii(text)[1:-1][:TEXT_MAX_CHARACTERS]
