"""No file that a reader opens, however odd, raises; numbers stay within bounds."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from golden import NAMES, machine
from hypothesis import given, settings
from hypothesis import strategies as st

from nunet_dms.machine.cpu import CORES_MAX, read_cpu
from nunet_dms.machine.cpu_rate import RATE_MAX_MHZ
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.dualboot import read_dual_boot
from nunet_dms.machine.kernelfile import LINE_MAX_CHARACTERS, is_folder, names_in, read_text
from nunet_dms.machine.load import read_cpu_time
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.mounts import read_mounts
from nunet_dms.machine.network import read_network
from nunet_dms.machine.platform import read_platform
from nunet_dms.machine.power import on_battery
from nunet_dms.machine.smbios import processor_speeds
from nunet_dms.machine.systemd import read_systemd
from nunet_dms.machine.virtualization import read_virtualization

READ_NOWHERE_IN_GOLDEN = (
    "sys/firmware/dmi/tables/DMI",
    "proc/device-tree/cpus/cpu@0/clock-frequency",
    "proc/device-tree/hypervisor/compatible",
    "proc/xen/capabilities",
    "sys/hypervisor/type",
    "run/systemd/container",
    "run/.containerenv",
    "mnt/hiberfil.sys",
)
FOLDERS = (
    "sys/devices/system/cpu",
    "sys/class/power_supply",
    "run/udev/data",
    "proc/device-tree/cpus",
)
RAM_MAX_MB = 10**12

odd_texts = st.one_of(
    st.text(max_size=200),
    st.sampled_from([
        "9" * 5000, "-1", "0", "1e9", "18446744073709551616", "٤٢", "0-٤", "cpu  ٢ ٢ ٣ ٤ ٤",
        "MemTotal: ٤٠٩٦ kB", "MemTotal: -5 kB", "processor : 0\n" * 9000, "0-" + "9" * 6,
        "model name : x @ 9.999GHz", "cpu MHz : 999999.9", "bogomips : 999999.99",
        "eth0\t00000000\tFFFFFFFF\t0003\t0\t0\t9999999999\t00000000\t0",
        "../../x\t00000000\tFFFFFFFF\t0003\t0\t0\t0\t00000000\t0",
        "1 0 8:3 / /mnt rw - ntfs3 /dev/sda3 rw", "1 0 8:3 / /a\\000b rw - fuseblk \\377 rw",
        "E:ID_FS_TYPE=ntfs\nE:ID_PART_ENTRY_SIZE=" + "9" * 40, "[boot", "[boot]\nsystemd", "\0",
    ]),
)  # fmt: skip
odd_bytes = st.one_of(st.binary(max_size=300), odd_texts.map(lambda text: text.encode("utf-8")))


def put_file(place: Path, content: bytes) -> None:
    place.write_bytes(content)


def put_folder(place: Path, content: bytes) -> None:
    (place / "below").mkdir(parents=True)


def put_dangling(place: Path, content: bytes) -> None:
    place.symlink_to("nowhere")


def put_loop(place: Path, content: bytes) -> None:
    place.symlink_to(place.name)


def put_nothing(place: Path, content: bytes) -> None:
    """Leave it out."""


def put_closed(place: Path, content: bytes) -> None:
    place.write_bytes(content)
    place.chmod(0)


oddities = st.sampled_from(
    [put_file, put_file, put_file, put_folder, put_dangling, put_loop, put_nothing, put_closed]
)
Oddity = tuple[int, Callable[[Path, bytes], None], bytes]


def spoil(root: Path, places: tuple[str, ...], odd: list[Oddity]) -> None:
    """Put odd things in place of some files of a machine."""
    for number, put, content in odd:
        place = root / places[number % len(places)]
        if any(above.is_symlink() or above.is_file() for above in (place.parent, *place.parents)):
            continue  # spoiled already
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink(missing_ok=True)
        put(place, content)


def read_all(root: Path) -> None:
    """Read all facts, and hold them against their bounds."""
    cpu, memory = read_cpu(root), read_memory(root)
    assert 1 <= cpu.cores <= CORES_MAX
    assert cpu.core_mhz is None or 1 <= cpu.core_mhz <= RATE_MAX_MHZ
    assert cpu.physical_cores is None or 1 <= cpu.physical_cores <= cpu.cores
    assert cpu.source
    assert memory.total_mb is None or 0 <= memory.total_mb <= RAM_MAX_MB
    assert memory.available_mb is None or 0 <= memory.available_mb <= (memory.total_mb or 0)
    system, below = read_platform(root), read_virtualization(root)
    network, windows = read_network(below, root), read_dual_boot(root)
    spent = read_cpu_time(root)
    assert spent is None or 0 <= spent.busy_s <= spent.total_s
    assert below.source
    assert network.why
    assert windows.why
    assert windows.windows or windows.hibernated is False
    assert on_battery(root) in {True, False, None}
    assert read_systemd(root).wsl_enabled in {True, False, None}
    assert read_disk(root / "jobs").total_mb
    for text in (cpu.model, system.os_name, system.kernel, below.container, network.interface):
        assert len(text) <= LINE_MAX_CHARACTERS
        assert not text or text.isprintable()


@settings(max_examples=40)  # each makes a machine of a hundred files
@given(
    st.sampled_from(NAMES),
    st.lists(st.tuples(st.integers(0, 10_000), oddities, odd_bytes), min_size=1, max_size=15),
)
def test_no_machine_is_so_odd_that_a_reader_raises(name: str, odd: list[Oddity]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = machine(name, Path(folder))
        files = (path.relative_to(root) for path in root.rglob("*") if not path.is_dir())
        # One file of each kind: what is odd for one core is odd for all.
        places = tuple(sorted({str(path) for path in files if "cpu1" not in str(path)}))
        spoil(root, (*places, *READ_NOWHERE_IN_GOLDEN, *FOLDERS), odd)
        read_all(root)


@pytest.mark.parametrize("put", [put_folder, put_dangling, put_loop, put_closed])
@pytest.mark.parametrize("name", NAMES)
def test_a_machine_whose_every_file_is_odd_is_read_as_unknown(
    tmp_path: Path, name: str, put: Callable[[Path, bytes], None]
) -> None:
    root = machine(name, tmp_path)
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.is_symlink():
            path.unlink()
            put(path, b"\xff\xfe\x00")
    read_all(root)
    assert read_cpu(root).core_mhz is None
    assert read_memory(root).total_mb is None


@given(st.binary(max_size=2000))
def test_no_firmware_table_is_so_odd_that_it_raises(table: bytes) -> None:
    assert all(0 <= speed < 2**16 for speed in processor_speeds(table))


@given(odd_texts)
def test_no_list_of_mounts_is_so_odd_that_it_raises(text: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "proc/self/mountinfo")
        place.parent.mkdir(parents=True)
        place.write_text(text)
        assert all(mount.number and mount.kind for mount in read_mounts(Path(folder)))


@pytest.mark.parametrize("put", [put_file, put_dangling, put_loop, put_nothing])
def test_a_folder_that_is_none_is_empty(tmp_path: Path, put: Callable[[Path, bytes], None]) -> None:
    put(tmp_path / "folder", b"x")
    assert names_in(tmp_path / "folder") == ()
    assert is_folder(tmp_path / "folder" / "below") is False
    assert read_text(tmp_path / "folder" / "below") == ""


def test_this_machine_itself_can_be_read() -> None:
    read_all(Path("/"))
