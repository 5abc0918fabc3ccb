"""The CPU: which rate is believed, which cores can be had, and what it is called."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from golden import machine, tree

from nunet_dms.machine.cpu import read_cpu

CPU = "sys/devices/system/cpu"
XEON = "".join(
    f"processor\t: {n}\nmodel name\t: Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz\n{mhz}\n"
    "flags\t\t: fpu tsc constant_tsc nopl\nbogomips\t: 4788.99\n\n"
    for n, mhz in enumerate(("cpu MHz\t\t: 1199.998", "cpu MHz\t\t: 2900.123"))
)
EPYC = XEON.replace("Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz", "AMD EPYC")
UNSTEADY = EPYC.replace(" constant_tsc", "")
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\n\nprocessor\t: 1\nBogoMIPS\t: 108.00\n"
NO_RATE = "nothing: the kernel tells no rate"


def smbios(*processors: tuple[int, int, int, bytes]) -> bytes:
    """Make a table: a BIOS, then processors of (highest, current, status, maker), then the end."""
    table = struct.pack("<BBH", 0, 24, 0) + bytes(20) + b"SeaBIOS\x001.16.0\0\0"
    for number, (highest, current, status, maker) in enumerate(processors):
        body = bytearray(0x30)
        struct.pack_into("<BBH", body, 0, 4, len(body), 0x400 + number)
        body[0x05], body[0x07], body[0x18] = 3, 2, status
        struct.pack_into("<HH", body, 0x14, highest, current)
        table += bytes(body) + b"CPU 0\0" + maker + b"\0\0"
    return table + struct.pack("<BBH", 127, 4, 0xFEFF) + b"\0\0"


@pytest.mark.parametrize(
    ("files", "core_mhz", "source"),
    [
        ({"proc/cpuinfo": XEON, f"{CPU}/cpu0/cpufreq/base_frequency": "2400000\n",
          f"{CPU}/cpu1/cpufreq/base_frequency": "1800000\n"}, 1800, "cpufreq base_frequency"),
        ({"proc/cpuinfo": XEON, f"{CPU}/cpu0/acpi_cppc/nominal_freq": "2300\n"},
         2300, "ACPI CPPC nominal_freq"),
        ({"proc/cpuinfo": XEON, f"{CPU}/cpu0/acpi_cppc/nominal_freq": "0\n"},
         2400, "the model's name"),
        ({"proc/cpuinfo": EPYC}, 2394, "half of bogomips: the constant time stamp counter"),
        ({"proc/cpuinfo": UNSTEADY, "sys/firmware/dmi/tables/DMI":
          smbios((3700, 2450, 0x41, b"AMD"), (3700, 2250, 0x41, b"AMD"))},
         2250, "SMBIOS, the processor's speed"),
        ({"proc/cpuinfo": ARM, "proc/device-tree/cpus/cpu@0/clock-frequency": b"\x59\x68\x2f\0",
          "proc/device-tree/cpus/cpu@1/clock-frequency": b"\0\0\0\0\x77\x35\x94\0"},
         1500, "device tree clock-frequency"),
        ({"proc/cpuinfo": ARM, f"{CPU}/cpu0/cpufreq/cpuinfo_max_freq": "1500000\n"},
         1500, "cpufreq cpuinfo_max_freq, perhaps boosted"),
        ({"proc/cpuinfo": UNSTEADY},
         2900, "/proc/cpuinfo cpu MHz of the fastest core, perhaps boosted"),
        ({"proc/cpuinfo": "processor : 0\ncpu : POWER9\nclock : 3425.000000MHz\n"},
         3425, "/proc/cpuinfo cpu MHz of the fastest core, perhaps boosted"),
        ({"proc/cpuinfo": ARM}, None, NO_RATE),
        ({}, None, NO_RATE),
    ],
)  # fmt: skip
def test_the_rate_is_the_first_that_is_told_in_the_order_of_trust(
    tmp_path: Path, files: dict[str, str | bytes], core_mhz: int | None, source: str
) -> None:
    facts = read_cpu(tree(tmp_path, files))
    assert (facts.core_mhz, facts.source) == (core_mhz, source)


@pytest.mark.parametrize(
    "files",
    [
        {f"{CPU}/cpu0/cpufreq/base_frequency": "<unknown>\n"},
        {f"{CPU}/cpu0/cpufreq/base_frequency": "0\n"},
        {f"{CPU}/cpu0/cpufreq/base_frequency": "99000000\n"},
        {f"{CPU}/cpu0/acpi_cppc/nominal_freq": "18446744073709551615\n"},
        {"proc/cpuinfo": ARM + "cpu MHz : 0.000\n"},
        {"proc/cpuinfo": "flags : constant_tsc\nbogomips : 0.01\n"},
        {"proc/cpuinfo": "model name : Odd CPU @ 0.00GHz\n"},
        {"proc/device-tree/cpus/cpu@0/clock-frequency": b"\xff\xff\xff\xff\xff\xff\xff\xff"},
        {"proc/device-tree/cpus/cpu@0/clock-frequency": b"\0\x59\x68\x2f\0"},
        {"sys/firmware/dmi/tables/DMI": smbios((0, 0, 0x41, b"AMD"))},
    ],
)
def test_a_rate_that_no_cpu_has_is_passed_over(
    tmp_path: Path, files: dict[str, str | bytes]
) -> None:
    facts = read_cpu(tree(tmp_path, files))
    assert (facts.core_mhz, facts.source) == (None, NO_RATE)


@pytest.mark.parametrize(
    ("table", "core_mhz"),
    [
        (smbios((3000, 3000, 0x41, b"Ampere(R)")), 3000),
        (smbios((2500, 0, 0x41, b"AWS")), 2500),  # the highest, where the present one is unknown
        (smbios((2000, 2000, 0x41, b"QEMU")), None),  # QEMU makes it up
        (smbios((2000, 2000, 0x00, b"AMD")), None),  # an empty socket
        (smbios((3000, 3000, 0x41, b"Ampere(R)"))[:-30], None),  # cut short
        (b"\x01\x03\x00\0\0" + smbios((3000, 3000, 0x41, b"x")), None),  # less than a header
        (b"\x7f\x04\x00\x00\0\0" + smbios((3000, 3000, 0x41, b"x")), None),  # after the end
    ],
)
def test_the_firmware_s_speed_is_read_with_care(
    tmp_path: Path, table: bytes, core_mhz: int | None
) -> None:
    files: dict[str, str | bytes] = {"proc/cpuinfo": ARM, "sys/firmware/dmi/tables/DMI": table}
    assert read_cpu(tree(tmp_path, files)).core_mhz == core_mhz


@pytest.mark.parametrize(
    ("online", "cores"),
    [("0-3,6\n", 5), ("0\n", 1), ("0-127", 128), ("nonsense", 2), ("3-1", 2), ("", 2),
     (",".join(str(2 * n) for n in range(128)), 128), ("0-999999", 2)],
)  # fmt: skip
def test_cores_are_those_that_are_switched_on(tmp_path: Path, online: str, cores: int) -> None:
    facts = read_cpu(tree(tmp_path, {"proc/cpuinfo": XEON, f"{CPU}/online": online}))
    assert facts.cores == cores
    assert facts.total_mhz == cores * 2400


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({"cpu.max": "max 100000\n"}, 8),
        ({"cpu.max": "250000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "100000 0\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 8),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpuset.cpus.effective": "2,4-5\n"}, 3),
        ({"cpuset/cpuset.cpus": "1\n"}, 1),
        ({"cpuset.cpus.effective": "\n"}, 8),
    ],
)
def test_a_container_has_no_more_cores_than_its_limits_allow(
    tmp_path: Path, files: dict[str, str], cores: int
) -> None:
    limits = {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    facts = read_cpu(tree(tmp_path, {f"{CPU}/online": "0-7\n", **limits}))
    assert facts.cores == cores


@pytest.mark.parametrize(
    ("files", "physical"),
    [
        ({f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n % 2},{n % 2 + 2}\n"
          for n in range(4)}, 2),
        ({"proc/cpuinfo": "".join(f"processor : {n}\nphysical id : {n // 2}\ncore id : 0\n\n"
                                  for n in range(4))}, 2),
        ({"proc/cpuinfo": ARM}, None),
        ({"proc/cpuinfo": "physical id : 0\nphysical id : 1\ncore id : 0\n"}, None),
    ],
)  # fmt: skip
def test_physical_cores_are_counted_once(
    tmp_path: Path, files: dict[str, str], physical: int | None
) -> None:
    assert read_cpu(tree(tmp_path, {f"{CPU}/online": "0-3\n", **files})).physical_cores == physical


@pytest.mark.parametrize(
    ("files", "model"),
    [
        ({"proc/cpuinfo": "model name\t: AMD  EPYC \x00\x1b[31m7763\n"}, "AMD EPYC [31m7763"),
        ({"proc/cpuinfo": "CPU implementer\t: 0x48\nCPU part\t: 0xd01\n"},
         "ARM, implementer 0x48, part 0xd01"),
        ({"proc/cpuinfo": "Hardware : BCM2835\nModel : Raspberry Pi 3\n"}, "Raspberry Pi 3"),
        ({"proc/device-tree/model": "StarFive VisionFive 2\0"}, "StarFive VisionFive 2"),
        ({"proc/cpuinfo": f"model name : {'x' * 999}\n"}, "x" * 200),
        ({}, ""),
    ],
)  # fmt: skip
def test_the_model_is_a_short_line(tmp_path: Path, files: dict[str, str], model: str) -> None:
    assert read_cpu(tree(tmp_path, files)).model == model


def test_a_machine_that_tells_nothing_has_one_core_and_no_total(tmp_path: Path) -> None:
    facts = read_cpu(tmp_path)
    assert (facts.model, facts.cores, facts.total_mhz) == ("", 1, None)
    assert (facts.physical_cores, facts.virtualization) == (None, "")


def test_a_hybrid_cpu_is_as_fast_as_its_slow_cores(tmp_path: Path) -> None:
    facts = read_cpu(machine("ubuntu-24.04-bare", tmp_path))
    assert facts.total_mhz == 20 * 1700
