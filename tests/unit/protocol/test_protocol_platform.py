"""On which machine a job may go on that was begun on another one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nunet_dms.protocol.machine import MachineFacts, MachineGpu
from nunet_dms.protocol.platform import Platform, misfit, platform_of

BEGUN = Platform(
    os_family="linux",
    architecture="x86_64",
    kernel="6.1.0-18-amd64",
    cpu_flags=("avx", "avx2", "sse4_2"),
)
WITH_GPU = replace(BEGUN, gpus=("NVIDIA A100", "NVIDIA T4"))
UNKNOWN = Platform(os_family="linux", architecture="", kernel="")


@pytest.mark.parametrize(
    ("needed", "offered", "why"),
    [
        (BEGUN, {}, None),
        (BEGUN, {"os_family": "wsl"}, "begun on Linux, this node runs under WSL"),
        (
            replace(BEGUN, os_family="wsl"),
            {"os_family": "linux"},
            "begun under WSL, this node runs on Linux",
        ),
        (
            BEGUN,
            {"architecture": "aarch64"},
            "begun with architecture x86_64, this node's aarch64",
        ),
        (
            BEGUN,
            {"architecture": ""},
            "begun with architecture x86_64, this node has none that is known",
        ),
        (BEGUN, {"kernel": "6.1.0-1-cloud-amd64"}, None),
        (BEGUN, {"kernel": "6.10.3"}, None),
        (BEGUN, {"kernel": "7.0"}, None),
        (
            BEGUN,
            {"kernel": "5.15.90"},
            "begun with kernel 6.1.0-18-amd64, this node's 5.15.90 is older",
        ),
        (
            BEGUN,
            {"kernel": ""},
            "begun with kernel 6.1.0-18-amd64, this node has none that is known",
        ),
        (BEGUN, {"cpu_flags": ("avx", "avx2", "avx512f", "sse4_2")}, None),
        (BEGUN, {"cpu_flags": ("sse4_2",)}, "this node's CPU lacks avx, avx2"),
        (BEGUN, {"gpus": ("NVIDIA T4",)}, None),
        (WITH_GPU, {"gpus": WITH_GPU.gpus}, None),
        (
            WITH_GPU,
            {"gpus": ("NVIDIA T4",)},
            "begun with GPU NVIDIA A100, NVIDIA T4, this node's NVIDIA T4",
        ),
        (
            WITH_GPU,
            {"gpus": ()},
            "begun with GPU NVIDIA A100, NVIDIA T4, this node has none that is known",
        ),
        (UNKNOWN, {"kernel": "2.6.32", "architecture": "riscv64", "cpu_flags": ()}, None),
    ],
)
def test_a_platform_fits_or_it_is_said_why_not(
    needed: Platform, offered: dict[str, object], why: str | None
) -> None:
    assert misfit(needed, replace(BEGUN, **offered)) == why  # type: ignore[arg-type]


def test_many_lacking_flags_are_named_in_part() -> None:
    needed = replace(BEGUN, cpu_flags=tuple(f"f{number}" for number in range(9)))
    assert misfit(needed, BEGUN) == "this node's CPU lacks f0, f1, f2, f3, f4, f5 and 3 more"


def test_a_nodes_own_words_are_escaped_and_cut() -> None:
    why = misfit(BEGUN, replace(BEGUN, kernel="1.0\x1b[31m" + "x" * 400))
    assert why is not None
    assert "\\x1b" in why
    assert "\x1b" not in why
    assert len(why) < 250


@pytest.mark.parametrize(
    ("kind", "family"),
    [
        ("native", "linux"), ("vm", "linux"), ("container", "linux"), ("unknown", "linux"),
        ("wsl1", "wsl"), ("wsl2", "wsl"),
    ],
)  # fmt: skip
def test_a_machine_of_every_kind_is_of_one_family(kind: str, family: str) -> None:
    cards = [MachineGpu(vendor="nvidia", name=name, uuid=name) for name in ("T4", "A100", "T4")]
    machine = MachineFacts(
        taken_s=1, cpu_model="i7", cores=4, kind=kind, kernel="6.1", architecture="x86_64",
        cpu_flags=("avx",), gpus=tuple(cards),
    )  # type: ignore[arg-type]  # fmt: skip
    assert platform_of(machine) == Platform(
        os_family=family, architecture="x86_64", kernel="6.1", cpu_flags=("avx",),
        gpus=("A100", "T4"),
    )  # type: ignore[arg-type]  # fmt: skip
