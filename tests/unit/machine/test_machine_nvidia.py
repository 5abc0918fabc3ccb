"""NVIDIA's GPUs, by the real pynvml against a stand-in for the driver's library."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pynvml
import pytest
from gpu_world import GIB, LIBRARY, compile_fake, fake_gpu, nvidia_card, write_tree
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.machine import nvidia, nvml, nvml_process
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth, GpuProcess, MigInstance, read_gpus
from nunet_dms.machine.nvml_process import NvmlAnswer
from nunet_dms.machine.xid import read_xids

DRIVER = "550.54.15"
RESET = "type: sudo nvidia-smi --gpu-reset -i 0, or reboot"
H100 = Gpu(
    vendor="nvidia",
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-00000041",
    pci="0000:41:00.0",
    driver=DRIVER,
    vram_mb=80 * 1024,
    free_vram_mb=79 * 1024,
    utilization_percent=0,
    temperature_c=31,
    power_w=70,
    health=GpuHealth.OK,
    processes=(),
)
"""What `fake_gpu(0x41)` is; the kernel's log may not be read."""

Read = Callable[..., GpuFacts]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in, compiled."""
    return compile_fake(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def read(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Read:
    """Read the GPUs of a machine with this world of NVML and these kernel files."""
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    monkeypatch.setattr(nvml_process, "_hanging", [])

    def read_this(world: str, files: dict[str, str] | None = None) -> GpuFacts:
        (tmp_path / "world").write_bytes(os.fsencode(world))
        monkeypatch.setenv("FAKE_NVML", str(tmp_path / "world"))
        return read_gpus(write_tree(tmp_path / "root", nvidia_card(0x41) | (files or {})))

    return read_this


def fake_gpus(*gpus: str) -> str:
    return f"driver {DRIVER}\n" + "".join(gpus)


def test_one_gpu_is_told_whole(read: Read) -> None:
    assert read(fake_gpus(fake_gpu(0x41))) == GpuFacts((H100,), ())


def test_eight_gpus_keep_their_order(read: Read) -> None:
    files = {}
    for bus in range(1, 9):
        files |= nvidia_card(bus)
    facts = read(fake_gpus(*(fake_gpu(bus) for bus in (*range(1, 9), 0x41))), files)
    assert [gpu.index for gpu in facts.gpus] == list(range(9))
    assert [gpu.pci for gpu in facts.gpus[:2]] == ["0000:01:00.0", "0000:02:00.0"]
    assert facts.problems == ()


def test_no_gpu_on_a_machine_whose_driver_works_names_the_card_that_is_not_listed(
    read: Read,
) -> None:
    assert read(fake_gpus()) == GpuFacts(
        (),
        (
            "cannot use the NVIDIA card 10de:2330 at PCI 0000:41:00.0:"
            " its driver could not start it: see sudo dmesg | grep NVRM",
        ),
    )


def test_what_the_driver_does_not_support_is_unknown_and_no_fault(read: Read) -> None:
    """As a card of the unified-memory kind, or in WSL 2, answers to most questions."""
    assert read("gpu\n pci 00000000:41:00.0\n fail processes 3\n") == GpuFacts(
        (Gpu(vendor="nvidia", index=0, pci="0000:41:00.0", health=GpuHealth.OK),), ()
    )


@pytest.mark.parametrize("code", sorted(nvml.HARMLESS))
def test_a_harmless_refusal_costs_one_value_only(code: int, read: Read) -> None:
    facts = read(fake_gpus(fake_gpu(0x41, f"fail celsius {code}")))
    assert facts == GpuFacts((dataclasses.replace(H100, temperature_c=None),), ())


def test_an_absurd_load_is_unknown(read: Read) -> None:
    facts = read(fake_gpus(fake_gpu(0x41, "load 4294967295")))
    assert facts.gpus[0].utilization_percent is None


def test_a_name_that_is_no_text_is_unknown_and_hides_nothing_else(read: Read) -> None:
    facts = read(fake_gpus(fake_gpu(0x41, "name \udcff")))
    assert facts.gpus[0].name == ""
    assert facts.gpus[0].vram_mb == H100.vram_mb
    assert facts.gpus[0].health is GpuHealth.UNKNOWN


MIG = (
    "mig",
    f"instance {10 * GIB} MIG-a NVIDIA H100 80GB HBM3 MIG 1g.10gb",
    "gap",
    f"instance {20 * GIB} MIG-b NVIDIA H100 80GB HBM3 MIG 2g.20gb",
)


def test_mig_instances_are_told_whatever_gaps_their_numbers_have(read: Read) -> None:
    gpu = read(fake_gpus(fake_gpu(0x41, *MIG))).gpus[0]
    assert gpu == dataclasses.replace(
        H100,
        mig_enabled=True,
        mig=(
            MigInstance("MIG-a", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", 10 * 1024),
            MigInstance("MIG-b", "NVIDIA H100 80GB HBM3 MIG 2g.20gb", 20 * 1024),
        ),
    )


def test_mig_may_be_on_without_an_instance(read: Read) -> None:
    gpu = read(fake_gpus(fake_gpu(0x41, "mig"))).gpus[0]
    assert (gpu.mig_enabled, gpu.mig, gpu.health) == (True, (), GpuHealth.OK)


def test_a_process_is_told_once_with_the_name_that_the_kernel_has(read: Read) -> None:
    world = fake_gpu(
        0x41,
        f"process 4321 {2 * GIB} c",
        f"process 4321 {1 * GIB} g",
        "process 99 -1 g",
        f"process 7 {GIB} c",
    )
    facts = read(fake_gpus(world), {"proc/4321/comm": "python3\n", "proc/99/comm": "Xorg\n"})
    assert facts.gpus[0].processes == (
        GpuProcess(7, "", 1024),
        GpuProcess(99, "Xorg", None),
        GpuProcess(4321, "python3", 2048),
    )


LOST = "it fell off the bus: reboot; if it happens again look at its power, heat and slot"


@pytest.mark.parametrize(
    ("more", "health", "faults"),
    [
        ("fail memory 15", GpuHealth.LOST, (LOST,)),
        ("fail processes 15", GpuHealth.LOST, (LOST,)),
        ("ecc 0 17", GpuHealth.OK, ()),
        (
            "ecc 3 17",
            GpuHealth.DEGRADED,
            ("3 uncorrectable memory errors since its driver was loaded (17 in its life):"
             f" {RESET}",),
        ),
        ("rows 0 0", GpuHealth.OK, ()),
        (
            "rows 1 0",
            GpuHealth.DEGRADED,
            (f"broken memory waits to be replaced (row remapping): {RESET}",),
        ),
        (
            "rows 0 1",
            GpuHealth.DEGRADED,
            ("broken memory could not be replaced (row remapping failed): exchange it",),
        ),
        ("pages 0", GpuHealth.OK, ()),
        (
            "pages 1",
            GpuHealth.DEGRADED,
            (f"broken memory waits to be taken out (page retirement): {RESET}",),
        ),
        ("fail name 16", GpuHealth.DEGRADED, (f"it must be reset: {RESET}",)),
        ("fail name 10", GpuHealth.DEGRADED, ("it did not answer its driver in time: reboot",)),
        (
            "fail name 11",
            GpuHealth.DEGRADED,
            ("its interrupts do not arrive: see sudo dmesg | grep NVRM",),
        ),
        (
            "fail name 14",
            GpuHealth.DEGRADED,
            ("its own store of settings (infoROM) is damaged: reboot,"
             " and if that does not help ask the vendor",),
        ),
        (
            "fail name 999",
            GpuHealth.UNKNOWN,
            ("it could not be asked: Unknown Error (NVML 999)",),
        ),
    ],
)  # fmt: skip
def test_the_health_says_what_is_broken_and_what_to_do(
    more: str, health: GpuHealth, faults: tuple[str, ...], read: Read
) -> None:
    facts = read(fake_gpus(fake_gpu(0x41, more)))
    assert (facts.gpus[0].health, facts.gpus[0].faults) == (health, faults)
    assert facts.problems == ()


INFORMATION = (
    "Model: \t\t NVIDIA H100 80GB HBM3\nGPU UUID: \t GPU-0abc\nBus Location: \t 0000:41:00.0\n"
)


def test_a_lost_gpu_hides_no_other_and_gets_its_name_from_the_kernel(read: Read) -> None:
    world = fake_gpus("gpu\n fail handle 15\n", fake_gpu(0x42))
    files = {
        "proc/driver/nvidia/gpus/0000:41:00.0/information": INFORMATION,
        "proc/driver/nvidia/gpus/0000:42:00.0/information": INFORMATION,
    }
    facts = read(world, files | nvidia_card(0x42))
    lost, other = facts.gpus
    assert lost == Gpu(
        vendor="nvidia",
        index=0,
        name="NVIDIA H100 80GB HBM3",
        uuid="GPU-0abc",
        pci="0000:41:00.0",
        driver=DRIVER,
        health=GpuHealth.LOST,
        faults=(LOST,),
    )
    assert other == dataclasses.replace(H100, index=1, uuid="GPU-00000042", pci="0000:42:00.0")
    assert facts.problems == ()


def test_a_lost_gpu_stays_nameless_where_it_could_be_another(read: Read) -> None:
    files = {
        f"proc/driver/nvidia/gpus/0000:{bus}:00.0/information": INFORMATION for bus in (41, 42)
    }
    assert read("gpu\n fail handle 15\n", files).gpus[0].name == ""


def test_a_gpu_that_we_may_not_open_is_unknown(read: Read) -> None:
    gpu = read("gpu\n fail handle 4\n").gpus[0]
    assert gpu.health is GpuHealth.UNKNOWN
    assert gpu.faults == ("it could not be asked: Insufficient Permissions (NVML 4)",)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (4, "this user may not talk to the driver: see ls -l /dev/nvidia*, and add the user to the"
            " group that may (often: sudo usermod -aG video USER, then log in again)"),
        (9, "its kernel module is not loaded: type: sudo modprobe nvidia (if that says that the key"
            " was rejected, Secure Boot wants the module signed)"),
        (18, "its kernel module (550.54.14) is of another version than its library, as after an"
             " update: reboot"),
        (999, "NVML says: Unknown Error (code 999); see: sudo dmesg | grep NVRM"),
    ],
)  # fmt: skip
def test_why_nvml_cannot_be_opened_is_a_problem_with_its_cure(
    code: int, why: str, read: Read
) -> None:
    facts = read(f"init {code}\n", {"sys/module/nvidia/version": "550.54.14\n"})
    what = "cannot use the NVIDIA card 10de:2330 at PCI 0000:41:00.0: "
    assert facts == GpuFacts((), (what + why,))


def test_a_card_without_any_driver_says_how_to_install_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path / "nowhere"))
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has NVIDIA's own library, which would be found")
    facts = read_gpus(write_tree(tmp_path, nvidia_card(0x41, driver="nouveau")))
    assert facts == GpuFacts(
        (),
        (
            "cannot use the NVIDIA card 10de:2330 at PCI 0000:41:00.0 (nouveau drives it now):"
            " no NVIDIA driver is installed: install it (Ubuntu: sudo ubuntu-drivers install;"
            " Debian: sudo apt install nvidia-driver), then reboot",
        ),
    )


@pytest.mark.parametrize(
    ("driver", "why"),
    [
        ("", "it has no driver: the one that is installed may be too new or too old for it"),
        ("nouveau", "nouveau drives it: give it to the nvidia driver, then reboot"),
        ("nvidia", "its driver could not start it: see sudo dmesg | grep NVRM"),
        ("vfio-pci", "vfio-pci keeps it for virtual machines; if it is to work here, let the nvidia"
                     " driver have it"),
    ],
)  # fmt: skip
def test_a_second_card_that_nvml_does_not_list_is_a_problem(
    driver: str, why: str, read: Read
) -> None:
    facts = read(fake_gpus(fake_gpu(0x41)), nvidia_card(0x42, driver))
    what = "cannot use the NVIDIA card 10de:2330 at PCI 0000:42:00.0: "
    assert facts == GpuFacts((H100,), (what + why,))


def test_a_hang_hides_no_gpu_before_it_and_names_the_one_that_hangs(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "hangs")
    monkeypatch.setenv("FAKE_NVML_HANGS", str(tmp_path / "hangs"))

    class OverTime(subprocess.Popen[bytes]):
        """The whole of the time is over as soon as it hangs."""

        def communicate(
            self, _: bytes | None = None, timeout: float | None = None
        ) -> tuple[bytes, bytes]:
            assert timeout == nvml_process.ANSWER_MAX_S
            (tmp_path / "hangs").read_bytes()
            return super().communicate(timeout=0.1)

    monkeypatch.setattr(nvml_process.subprocess, "Popen", OverTime)
    facts = read(fake_gpus(fake_gpu(0x41), fake_gpu(0x42, "hang memory"), fake_gpu(0x43)))
    assert facts == GpuFacts(
        (H100,),
        (
            "cannot ask the NVIDIA driver about GPU 1 (of 3, from 0): it did not answer within"
            " 30 s; see: sudo dmesg | grep NVRM, and reboot if nvidia-smi does not answer either",
        ),
    )
    assert nvml_process._hanging == []  # it was killed, and another may be started


def test_a_library_that_crashes_takes_only_its_own_process_with_it(read: Read) -> None:
    facts = read(fake_gpus(fake_gpu(0x41), fake_gpu(0x42, "die name")))
    assert facts.gpus == (H100,)
    assert (
        "about GPU 1 (of 2, from 0): the process that asked it was ended by signal 11"
        in (facts.problems[0])
    )


def test_what_a_driver_says_besides_is_not_taken_for_an_answer(read: Read) -> None:
    assert read("chatter\n" + fake_gpus(fake_gpu(0x41))) == GpuFacts((H100,), ())


def test_nvml_is_closed_again(read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVML_SHUT", str(tmp_path / "shut"))
    read(fake_gpus(fake_gpu(0x41, "fail memory 15")))
    assert (tmp_path / "shut").exists()


class Undying:
    """A process that hangs in the kernel: SIGKILL does not reach it."""

    pid, stdout, stderr = 4321, None, None

    def kill(self) -> None: ...

    def poll(self) -> None: ...

    def communicate(self, timeout: float) -> None:
        raise subprocess.TimeoutExpired("nvml", timeout)

    def wait(self, timeout: float) -> None:
        raise subprocess.TimeoutExpired("nvml", timeout)


def test_beside_one_that_hangs_in_the_kernel_no_other_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Undying] = []
    monkeypatch.setattr(nvml_process, "_hanging", [])
    monkeypatch.setattr(
        nvml_process.subprocess, "Popen", lambda *_, **__: started.append(Undying()) or started[-1]
    )
    write_tree(tmp_path, nvidia_card(0x41))
    first, second = read_gpus(tmp_path), read_gpus(tmp_path)
    assert len(started) == 1
    assert "it did not answer within 30 s" in first.problems[0]
    assert "process 4321, which asked it before, hangs" in second.problems[0]


def test_ctrl_c_leaves_no_process_behind(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    class Interrupted(subprocess.Popen[bytes]):
        def communicate(self, *_: object, **__: object) -> tuple[bytes, bytes]:
            started.append(self)
            raise KeyboardInterrupt

    monkeypatch.setattr(nvml_process.subprocess, "Popen", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(fake_gpus(fake_gpu(0x41, "hang name")))
    assert started[0].returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "why"),
    [
        ("/nowhere/python", "no process could be started to ask it: "),
        (shutil.which("false") or "", "the process that asked it failed: exit code 1"),
        (shutil.which("ls") or "", "the process that asked it failed: "),
    ],
)
def test_a_process_that_cannot_ask_is_a_problem(
    program: str, why: str, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", program)
    facts = read("")
    assert facts.gpus == ()
    assert facts.problems[0].startswith(f"cannot ask the NVIDIA driver: {why}")


def test_in_wsl_2_the_library_is_found_where_windows_puts_it(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There the PCI bus shows no NVIDIA card, and some distributions' linkers do not look there."""
    (tmp_path / "world").write_text(fake_gpus(fake_gpu(0x41)))
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "world"))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    folder = tmp_path / "usr/lib/wsl/lib"
    folder.mkdir(parents=True)
    shutil.copy(library, folder / LIBRARY)
    assert read_gpus(tmp_path) == GpuFacts((H100,), ())


@pytest.mark.parametrize("sign", ["dev/nvidiactl", "proc/driver/nvidia/version"])
def test_a_driver_that_shows_without_a_card_is_asked(
    sign: str, library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "world").write_text("init 999\n")
    monkeypatch.setenv("FAKE_NVML", str(tmp_path / "world"))
    monkeypatch.setenv("LD_LIBRARY_PATH", str(library.parent))
    facts = read_gpus(write_tree(tmp_path, {sign: ""}))
    assert facts.problems[0].startswith("cannot ask the NVIDIA driver: NVML says: Unknown Error")


@pytest.mark.parametrize(
    "files",
    [
        {},
        nvidia_card(0x41) | {"sys/bus/pci/devices/0000:41:00.0/class": "0x040300\n"},  # its sound
        nvidia_card(0x41) | {"sys/bus/pci/devices/0000:41:00.0/physfn/vendor": "0x10de\n"},
        {"dev/dxg": "", "usr/lib/wsl/lib/libd3d12.so": ""},
    ],
)
def test_without_a_sign_of_a_card_nothing_is_asked(
    files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "ask_nvml", lambda _: pytest.fail("NVML was asked"))
    assert read_gpus(write_tree(tmp_path, files)) == GpuFacts((), ())


def test_a_card_that_only_virtual_machines_have_is_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nvidia, "ask_nvml", lambda _: pytest.fail("NVML was asked"))
    facts = read_gpus(write_tree(tmp_path, nvidia_card(0x41, "vfio-pci")))
    assert facts.gpus == ()
    assert "vfio-pci keeps it for virtual machines" in facts.problems[0]


def kernel_log(*messages: str) -> dict[str, str]:
    return {"dev/kmsg": "".join(f"4,{n},1234,-;{text}\n" for n, text in enumerate(messages))}


@pytest.mark.parametrize(
    ("messages", "xids", "health"),
    [
        ((), (), GpuHealth.OK),
        (("NVRM: Xid (PCI:0000:41:00): 31, pid=7, name=python",), (31,), GpuHealth.OK),
        (("NVRM: Xid (PCI:0000:42:00): 79, pid=7",), (), GpuHealth.OK),
        (
            ("NVRM: Xid (PCI:0000:41:00): 119, pid=7", "NVRM: Xid (0000:41:00): 31, Ch 0b",
             "NVRM: Xid (PCI:0000:41:00 GPU-I:05): 31, pid=8"),
            (31, 119),
            GpuHealth.DEGRADED,
        ),
    ],
)  # fmt: skip
def test_the_kernel_s_log_tells_xids_and_those_that_need_a_reset_are_a_fault(
    messages: tuple[str, ...], xids: tuple[int, ...], health: GpuHealth, read: Read
) -> None:
    gpu = read(fake_gpus(fake_gpu(0x41)), kernel_log(*messages)).gpus[0]
    assert (gpu.xids, gpu.health) == (xids, health)
    if health is GpuHealth.DEGRADED:
        assert gpu.faults == ("its driver logged XID 119 since the machine started: reboot",)


def test_a_gpu_that_answers_strangely_after_xid_79_is_lost(read: Read) -> None:
    """Newer drivers say `Unknown Error` where older ones said that the GPU is lost."""
    log = kernel_log("NVRM: Xid (PCI:0000:41:00): 79, GPU has fallen off the bus.")
    log["proc/driver/nvidia/gpus/0000:41:00.0/information"] = INFORMATION
    gpu = read("gpu\n fail handle 999\n", log).gpus[0]
    assert (gpu.pci, gpu.health) == ("0000:41:00.0", GpuHealth.LOST)


def test_a_log_that_may_not_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    assert read_xids(tmp_path) is None
    (tmp_path / "dev/kmsg").mkdir(parents=True)
    assert read_xids(tmp_path) is None


def test_a_log_is_read_to_its_present_end_and_no_further(tmp_path: Path) -> None:
    """A FIFO with a writer is as /dev/kmsg: at its end a read says that it would block."""
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "dev/kmsg")
    reader = os.open(tmp_path / "dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(tmp_path / "dev/kmsg", os.O_WRONLY)
    os.write(writer, b"4,1,1,-;NVRM: Xid (PCI:0000:41:00): 48, pid=1\n")
    assert read_xids(tmp_path) == {"0000:41:00": (48,)}
    os.close(writer)
    os.close(reader)


@pytest.mark.parametrize(
    "name",
    ["c_nvmlMemory_t", "c_nvmlUtilization_t", "nvmlPciInfo_t", "c_nvmlProcessInfo_t"],
)
def test_the_stand_in_has_the_layouts_that_pynvml_passes(name: str, library: Path) -> None:
    size_of = ctypes.CDLL(str(library)).fake_size_of
    assert size_of(name.encode()) == ctypes.sizeof(getattr(pynvml, name)) > 0


def test_the_codes_that_this_process_knows_are_those_of_pynvml() -> None:
    for name in ("NO_PERMISSION", "DRIVER_NOT_LOADED", "LIBRARY_NOT_FOUND"):
        assert getattr(nvidia, name) == getattr(pynvml, f"NVML_ERROR_{name}")
    assert nvidia.VERSION_MISMATCH == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH


@pytest.mark.parametrize(
    ("bus", "address"),
    [
        ("00000000:41:00.0", "0000:41:00.0"),
        ("00010000:C1:00.0", "10000:c1:00.0"),
        ("", ""),
        ("nonsense", ""),
    ],
)
def test_nvml_s_address_is_written_as_the_kernel_writes_it(bus: str, address: str) -> None:
    assert nvml.pci_address(bus) == address


@given(
    out=st.lists(
        st.one_of(
            st.binary(max_size=40),
            st.just(json.dumps({"gpu": dataclasses.asdict(H100)}).encode() + b"\n"),
            st.just(b'{"count": 2}\n'),
        ),
        max_size=5,
    ).map(b"".join)
)
def test_whatever_arrives_of_an_answer_never_raises(out: bytes) -> None:
    answer = nvml_process._read(out, "cut off")
    assert isinstance(answer, NvmlAnswer)
    assert all(gpu == H100 for gpu in answer.gpus)


def test_the_gpu_of_this_machine_is_told_as_nvidia_smi_tells_it() -> None:
    program = shutil.which("nvidia-smi")
    if program is None:
        pytest.skip("this machine has no NVIDIA driver: nvidia-smi is not installed")
    query = [
        program,
        "--query-gpu=uuid,name,memory.total,driver_version",
        "--format=csv,noheader,nounits",
    ]
    done = subprocess.run(query, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine has no NVIDIA GPU that works: {done.stdout.strip()}")
    facts = read_gpus()
    told = [tuple(line.split(", ")) for line in done.stdout.splitlines()]
    found = [(gpu.uuid, gpu.name, str(gpu.vram_mb), gpu.driver) for gpu in facts.gpus]
    assert found == told
    assert all(gpu.health is not GpuHealth.UNKNOWN for gpu in facts.gpus), facts
