"""AMD's GPUs, from trees of sysfs as the amdgpu driver makes them."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from gpu_world import GIB, nvidia_card, pci_card, write_tree
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.machine import nvidia
from nunet_dms.machine.amd import read_amd
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth, read_gpus
from nunet_dms.machine.nvml_process import NvmlAnswer
from nunet_dms.machine.pci import card_name

ADDRESS = "0000:03:00.0"
DEVICE = f"sys/bus/pci/devices/{ADDRESS}"
RADEON = pci_card(ADDRESS, "1002", "744c", "amdgpu") | {
    f"{DEVICE}/mem_info_vram_total": f"{24 * GIB}\n",
    f"{DEVICE}/mem_info_vram_used": f"{GIB}\n",
    f"{DEVICE}/gpu_busy_percent": "7\n",
    f"{DEVICE}/unique_id": "7d1c6f0b2e3a4f55\n",
    f"{DEVICE}/hwmon/hwmon4/temp1_input": "48000\n",
    f"{DEVICE}/hwmon/hwmon4/power1_average": "23500000\n",
    "usr/share/misc/pci.ids": (
        "1001  Kolter\n\t744c  Wrong\n"
        "1002  Advanced Micro Devices, Inc. [AMD/ATI]\n"
        "# a comment\n\t7448  Navi 31\n\t\t1002 0e0d  Radeon\n"
        "\t744c  Navi 31 [Radeon RX 7900 XT/7900 XTX]\n\t\t744c 0001  a subsystem\n"
        "1003  ULSI\n\t9999  Wrong\n"
    ),
}
FOUND = Gpu(
    vendor="amd",
    index=0,
    name="Navi 31 [Radeon RX 7900 XT/7900 XTX]",
    uuid="GPU-7d1c6f0b2e3a4f55",
    pci=ADDRESS,
    driver="amdgpu",
    vram_mb=24 * 1024,
    free_vram_mb=23 * 1024,
    utilization_percent=7,
    temperature_c=48,
    power_w=24,
    health=GpuHealth.OK,
)


def test_a_card_is_told_whole(tmp_path: Path) -> None:
    assert read_gpus(write_tree(tmp_path, RADEON)) == GpuFacts((FOUND,), ())


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({f"{DEVICE}/product_name": "Instinct MI210\n"}, {"name": "Instinct MI210"}),
        ({f"{DEVICE}/product_name": "M\x1b" + "I" * 500}, {"name": "M " + "I" * 198}),
        ({"usr/share/misc/pci.ids": ""}, {"name": "AMD 1002:744c"}),
        (
            {
                "usr/share/misc/pci.ids": "",
                "usr/share/hwdata/pci.ids": RADEON["usr/share/misc/pci.ids"],
            },
            {},
        ),
        ({"sys/module/amdgpu/version": "6.10.5\n"}, {"driver": "amdgpu 6.10.5"}),
        ({f"{DEVICE}/unique_id": "0\n"}, {"uuid": ""}),
        ({f"{DEVICE}/unique_id": ""}, {"uuid": ""}),
        ({f"{DEVICE}/mem_info_vram_used": ""}, {"free_vram_mb": None}),
        ({f"{DEVICE}/mem_info_vram_used": f"{25 * GIB}\n"}, {"free_vram_mb": 0}),
        ({f"{DEVICE}/gpu_busy_percent": ""}, {"utilization_percent": None}),
        ({f"{DEVICE}/gpu_busy_percent": "101\n"}, {"utilization_percent": None}),
        (
            {
                f"{DEVICE}/hwmon/hwmon4/power1_average": "",
                f"{DEVICE}/hwmon/hwmon4/power1_input": "9000000\n",
            },
            {"power_w": 9},
        ),
        ({f"{DEVICE}/hwmon/hwmon4/temp1_input": ""}, {"temperature_c": None}),
        ({f"{DEVICE}/ras/umc_err_count": "ue: 0\nce: 12\n"}, {}),
        (
            {f"{DEVICE}/ras/umc_err_count": "ue: 2\nce: 12\n"},
            {
                "health": GpuHealth.DEGRADED,
                "faults": ("2 uncorrectable memory errors since the driver was loaded: reboot",),
            },
        ),
        (
            {f"{DEVICE}/mem_info_vram_total": ""},
            {
                "vram_mb": None,
                "free_vram_mb": None,
                "health": GpuHealth.UNKNOWN,
                "faults": ("its driver tells no memory size; see: sudo dmesg | grep amdgpu",),
            },
        ),
    ],
)
def test_a_card_tells_what_its_files_tell(
    files: dict[str, str], changes: dict[str, object], tmp_path: Path
) -> None:
    facts = read_amd(write_tree(tmp_path, RADEON | files))
    assert facts == GpuFacts((dataclasses.replace(FOUND, **changes),), ())  # type: ignore[arg-type]


def test_an_integrated_gpu_is_told_with_the_little_memory_that_it_has(tmp_path: Path) -> None:
    address = "0000:00:01.0"
    integrated = pci_card(address, "1002", "1681", "amdgpu") | {
        f"sys/bus/pci/devices/{address}/class": "0x030000\n",
        f"sys/bus/pci/devices/{address}/mem_info_vram_total": f"{GIB // 2}\n",
    }
    facts = read_amd(write_tree(tmp_path, RADEON | integrated))
    assert [(gpu.index, gpu.pci, gpu.vram_mb) for gpu in facts.gpus] == [
        (0, address, 512),
        (1, ADDRESS, 24 * 1024),
    ]


@pytest.mark.parametrize(
    ("driver", "problems"),
    [
        ("", ("cannot use the AMD card 1002:744c at PCI 0000:03:00.0: it has no driver; type: sudo"
              " modprobe amdgpu (a card newer than the kernel needs a newer kernel)",)),
        ("vfio-pci", ("cannot use the AMD card 1002:744c at PCI 0000:03:00.0: vfio-pci keeps it for"
                      " virtual machines; if it is to work here, let amdgpu have it",)),
        ("radeon", ()),
    ],
)  # fmt: skip
def test_a_card_that_amdgpu_does_not_drive_is_no_gpu(
    driver: str, problems: tuple[str, ...], tmp_path: Path
) -> None:
    tree = write_tree(tmp_path, pci_card(ADDRESS, "1002", "744c", driver))
    assert read_amd(tree) == GpuFacts((), problems)


def test_both_vendors_are_told_nvidia_s_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nvidia_gpu = Gpu(vendor="nvidia", index=0, pci="0000:41:00.0")
    monkeypatch.setattr(nvidia, "ask_nvml", lambda _: NvmlAnswer((nvidia_gpu,), 1))
    tree = write_tree(tmp_path, RADEON | nvidia_card(0x41) | nvidia_card(0x42, ""))
    facts = read_gpus(tree)
    assert facts.gpus == (nvidia_gpu, FOUND)
    assert len(facts.problems) == 1


FILES = sorted({*RADEON, *nvidia_card(0x41), f"{DEVICE}/ras/umc_err_count", "dev/kmsg",
                "proc/driver/nvidia/gpus/0000:41:00.0/information", "proc/1/comm",
                "sys/module/nvidia/version", "sys/module/amdgpu/version"})  # fmt: skip
CONTENT = st.one_of(
    st.binary(max_size=60),
    st.sampled_from([
        b"0x10de\n", b"0x1002\n", b"0x030000\n", b"0x0302\xff\xff", b"DRIVER=amdgpu\n",
        b"DRIVER=\x1b[2J\n", b"-1\n", b"9" * 400, "٣".encode(), b"ue: \n", b"1002  x\n\t744c  \n",
        b"4,1,1,-;NVRM: Xid (PCI:0000:41:00): 9999, x\n",
    ]),
)  # fmt: skip


@given(tree=st.dictionaries(st.sampled_from(FILES), st.one_of(CONTENT, st.none())))
def test_no_kernel_files_however_odd_raise(
    tree: dict[str, bytes | None], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("odd")
    write_tree(root, RADEON | nvidia_card(0x41))
    for name, content in tree.items():
        path = root / name
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if content is None else path.write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        answer = NvmlAnswer((Gpu(vendor="nvidia", index=0, pci="0000:41:00.0"),), 1)
        patch.setattr(nvidia, "ask_nvml", lambda _: answer)
        facts = read_gpus(root)
    assert all(gpu.vendor in {"nvidia", "amd"} for gpu in facts.gpus)
    assert all(gpu.vram_mb is None or gpu.vram_mb >= 0 for gpu in facts.gpus)


def test_names_are_those_of_the_machine_s_own_list() -> None:
    """Where pci.ids is installed its format is the one that we read."""
    places = [Path("/usr/share/misc/pci.ids"), Path("/usr/share/hwdata/pci.ids")]
    if not any(place.exists() for place in places):
        pytest.skip("pci.ids is not installed on this machine")
    assert re.search("Radeon|Navi", card_name(Path("/"), "1002:744c"))
