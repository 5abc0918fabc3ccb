"""`nunet gpu`: what the machine's GPUs are, what is wrong with them, what a job could have."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import pytest
from cli_world import Said

from nunet_dms.cli import gpu as gpu_command
from nunet_dms.cli import render
from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth, GpuProcess, MigInstance

Nunet = Callable[..., Said]
NOTHING = GpuFacts((), ())
PROBLEM = "cannot use the NVIDIA card 10de:2330: it has no driver"
NVIDIA = Gpu(
    vendor="nvidia",
    index=0,
    name="NVIDIA H100 80GB HBM3",
    uuid="GPU-1",
    pci="0000:41:00.0",
    driver="550.54.15",
    vram_mb=81920,
    free_vram_mb=80000,
    utilization_percent=42,
    temperature_c=31,
    power_w=70,
    health=GpuHealth.OK,
    xids=(),
    processes=(GpuProcess(7, "", None), GpuProcess(99, "Xorg", 20), GpuProcess(4321, "python3", 9)),
)
LOST = Gpu(
    vendor="nvidia",
    index=1,
    health=GpuHealth.LOST,
    faults=("it fell off the bus: reboot",),
    xids=(31, 79),
)
DIVIDED = Gpu(
    vendor="nvidia",
    index=2,
    name="NVIDIA A100",
    uuid="GPU-2",
    driver="550.54.15",
    vram_mb=40960,
    free_vram_mb=40960,
    health=GpuHealth.OK,
    mig_enabled=True,
    mig=(
        MigInstance("MIG-a", "NVIDIA A100 MIG 1g.5gb", 4864),
        MigInstance("MIG-b", "NVIDIA A100 MIG 2g.10gb", None),
    ),
    processes=(),
)
UNDIVIDED = Gpu(
    vendor="nvidia", index=3, name="NVIDIA A30", health=GpuHealth.OK, mig_enabled=True, xids=()
)
AMD = Gpu(
    vendor="amd", index=0, name="Navi 31", vram_mb=24576, driver="amdgpu", health=GpuHealth.OK
)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Give the machine these GPUs."""

    def have(*gpus: Gpu, problems: tuple[str, ...] = ()) -> None:
        monkeypatch.setattr(gpu_command, "read_gpus", lambda: GpuFacts(gpus, problems))

    return have


def test_a_machine_without_a_gpu_says_so_and_all_is_well(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    machine()
    assert nunet("gpu", "status") == Said(0, "this machine has no GPU\n", "")
    assert nunet("gpu", "status", "--json") == Said(
        0, '{"schema": "nunet.gpu.status/1", "gpus": [], "problems": []}\n', ""
    )
    assert nunet("gpu", "capacity") == Said(
        0,
        "this machine has no GPU to give to a job\n"
        "GPU jobs are not sold yet: this is what the machine has, not what it offers\n",
        "",
    )


def test_a_card_that_cannot_be_used_is_a_problem_and_5(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    machine(problems=(PROBLEM,))
    assert nunet("gpu", "status") == Said(
        5, f"this machine has no GPU that works\nproblem   {PROBLEM}\n", ""
    )
    said = nunet("gpu", "capacity", "--json")
    assert said.code == 5
    assert json.loads(said.out) == {
        "schema": "nunet.gpu.capacity/1",
        "units": [],
        "problems": [PROBLEM],
        "sold": False,
    }


def test_a_gpu_that_is_well_is_shown_whole(nunet: Nunet, machine: Callable[..., None]) -> None:
    machine(NVIDIA)
    assert nunet("gpu", "status") == Said(
        0,
        """\
GPU       NAME                   VRAM MB       LOAD  TEMP  POWER  HEALTH  PROCESSES
nvidia 0  NVIDIA H100 80GB HBM3  1920 / 81920  42 %  31 C  70 W   ok      ? (7), Xorg (99), python3 (4321)
""",  # noqa: E501 - the output as it is
        "",
    )


def test_every_gpu_has_its_faults_and_parts_below_the_table(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    machine(LOST, DIVIDED, UNDIVIDED, AMD, problems=(PROBLEM,))
    assert nunet("gpu", "status") == Said(
        5,
        f"""\
GPU       NAME         VRAM MB    LOAD  TEMP  POWER  HEALTH  PROCESSES
nvidia 1  -            - / -      -     -     -      lost    -
nvidia 2  NVIDIA A100  0 / 40960  -     -     -      ok      none
nvidia 3  NVIDIA A30   - / -      -     -     -      ok      -
amd 0     Navi 31      - / 24576  -     -     -      ok      -
nvidia 1  it fell off the bus: reboot
nvidia 1  XIDs since the machine started: 31, 79
nvidia 2  instance NVIDIA A100 MIG 1g.5gb: 4864 MB, MIG-a
nvidia 2  instance NVIDIA A100 MIG 2g.10gb: -, MIG-b
nvidia 3  MIG is on, but no instance is made, so that no program can use it: see nvidia-smi mig -i 3 -lgip
XIDs are unknown: this user may not read the kernel's log
problem   {PROBLEM}
""",  # noqa: E501 - the output as it is
        "",
    )


def test_a_fault_alone_is_5_too(nunet: Nunet, machine: Callable[..., None]) -> None:
    machine(LOST)
    assert nunet("gpu", "status").code == 5
    assert nunet("gpu", "capacity").code == 5


def test_the_json_has_what_the_table_leaves_out(nunet: Nunet, machine: Callable[..., None]) -> None:
    machine(NVIDIA)
    (gpu,) = json.loads(nunet("gpu", "status", "--json").out)["gpus"]
    assert gpu == {
        "vendor": "nvidia",
        "index": 0,
        "name": "NVIDIA H100 80GB HBM3",
        "uuid": "GPU-1",
        "pci": "0000:41:00.0",
        "driver": "550.54.15",
        "vram_mb": 81920,
        "free_vram_mb": 80000,
        "utilization_percent": 42,
        "temperature_c": 31,
        "power_w": 70,
        "health": "ok",
        "faults": [],
        "xids": [],
        "mig_enabled": False,
        "mig": [],
        "processes": [
            {"pid": 7, "name": "", "vram_mb": None},
            {"pid": 99, "name": "Xorg", "vram_mb": 20},
            {"pid": 4321, "name": "python3", "vram_mb": 9},
        ],
    }


def test_many_processes_are_counted_in_the_table(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    processes = tuple(GpuProcess(pid, "p", 1) for pid in range(1, 6))
    machine(Gpu(vendor="nvidia", index=0, xids=(), processes=processes))
    assert nunet("gpu", "status").out.endswith("p (1), p (2), p (3) and 2 more\n")


def test_what_a_driver_or_program_calls_itself_cannot_touch_the_terminal(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    process = GpuProcess(1, "\x1b[2J\n", None)
    machine(
        Gpu(vendor="nvidia", index=0, name="\x1b]0;x\x07", processes=(process,), faults=("\r",)),
        problems=("\x9b31m",),
    )
    for verb in ("status", "capacity"):
        said = nunet("gpu", verb).out
        assert "\\x1b]0;x\\x07" in said
        assert "nvidia 0  \\r\n" in said
        assert "problem   \\x9b31m\n" in said
        assert all(char == "\n" or char.isprintable() for char in said)


def test_capacity_has_whole_gpus_and_of_a_divided_one_its_instances(
    nunet: Nunet, machine: Callable[..., None]
) -> None:
    machine(NVIDIA, LOST, DIVIDED, UNDIVIDED, AMD)
    assert nunet("gpu", "capacity") == Said(
        5,
        """\
GPU       NAME                     VRAM MB  DRIVER     HEALTH  UUID
nvidia 0  NVIDIA H100 80GB HBM3    81920    550.54.15  ok      GPU-1
nvidia 1  -                        -        -          lost    -
nvidia 2  NVIDIA A100 MIG 1g.5gb   4864     550.54.15  ok      MIG-a
nvidia 2  NVIDIA A100 MIG 2g.10gb  -        550.54.15  ok      MIG-b
amd 0     Navi 31                  24576    amdgpu     ok      -
nvidia 3  MIG is on, but no instance is made, so that no program can use it: see nvidia-smi mig -i 3 -lgip
nvidia 1  it fell off the bus: reboot
GPU jobs are not sold yet: this is what the machine has, not what it offers
""",  # noqa: E501 - the output as it is
        "",
    )


def test_the_json_of_capacity_names_each_unit(nunet: Nunet, machine: Callable[..., None]) -> None:
    machine(DIVIDED)
    facts = json.loads(nunet("gpu", "capacity", "--json").out)
    assert facts["sold"] is False
    assert facts["units"][0] == {
        "vendor": "nvidia",
        "index": 2,
        "uuid": "MIG-a",
        "pci": "",
        "name": "NVIDIA A100 MIG 1g.5gb",
        "vram_mb": 4864,
        "driver": "550.54.15",
        "health": "ok",
        "is_mig_instance": True,
    }


@pytest.fixture
def three_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two looks at the GPUs, without a pause; Ctrl-C is typed in the third."""
    looks = iter((NOTHING, GpuFacts((NVIDIA,), ())))

    def look() -> GpuFacts:
        for facts in looks:
            return facts
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu_command, "WATCH_EVERY_S", 0)
    monkeypatch.setattr(gpu_command, "read_gpus", look)


@pytest.mark.usefixtures("three_looks")
def test_watch_is_one_line_of_json_a_look_until_ctrl_c(nunet: Nunet) -> None:
    said = nunet("gpu", "status", "--watch", "--json")
    assert said.code == 130
    assert [len(json.loads(line)["gpus"]) for line in said.out.splitlines()] == [0, 1]


@pytest.mark.usefixtures("three_looks")
def test_watch_on_a_terminal_draws_over_what_it_drew(
    nunet: Nunet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    said = nunet("gpu", "status", "--watch")
    assert said.code == 130
    before, first, second = said.out.split(render.CLEAR)
    assert before == ""
    assert first == "this machine has no GPU\n"
    assert "NVIDIA H100" in second


def test_watch_without_a_terminal_or_json_is_a_usage_error(nunet: Nunet) -> None:
    assert nunet("gpu", "status", "--watch") == Said(
        2,
        "",
        "nunet: cannot watch: the output is no terminal\n       add --json: one line every 2 s\n",
    )


@pytest.mark.parametrize("verb", ["status", "capacity"])
def test_help_says_that_gpu_jobs_are_not_sold_yet(verb: str, nunet: Nunet) -> None:
    assert "GPU jobs are not sold yet" in nunet("gpu", verb, "--help").out
    assert "GPU jobs are not sold yet" in nunet("gpu", "--help").out
