"""The engine's proof without an engine: what a probe said, compared with what was asked."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nunet_dms.node import proof_probe as probe
from nunet_dms.node.engine.profile import ImageDefaults, create_arguments
from nunet_dms.node.engine.types import ContainerSpec
from nunet_dms.node.proof import Proof, probe_text
from nunet_dms.node.proof_checks import judge
from nunet_dms.node.proof_values import Answer, Seen, asked_of

SPEC = ContainerSpec(
    name="nunet-proof", labels=(), image_id="sha256:0", command=(), env=(),
    nano_cpus=500_000_000, ram_mb=64, disk_mb=16, user="10001:10001", inputs=Path("/in"),
    outputs=Path("/out"), output_folder="/nunet/out",
)  # fmt: skip
ASKED = asked_of(SPEC)
# As Docker 20.10 on cgroup v1 answered; a warning of Python's may stand before it.
RECORDED = (
    b"<string>:107: DeprecationWarning: use of fork() may lead to deadlocks in the child.\n"
    b'{"problems": [], "uids": [10001, 10001, 10001], "gids": [10001, 10001, 10001],'
    b' "groups": [10001], "capabilities": "0", "no_new_privileges": 1, "seccomp": 2,'
    b' "memory_bytes": 67108864, "swap_bytes": 0, "swap_total_kb": 0, "cpu_nano": 500000000,'
    b' "cpu_share_percent": 50, "pids_limit": 256, "tasks": 255, "fork": "EAGAIN",'
    b' "root": "EROFS", "inputs": "EROFS", "outputs": "done", "tmp_bytes": 16777216,'
    b' "tmp_end": "ENOSPC", "tmp_files": 4096, "large_file": "EFBIG", "open_files": [1024, 4096],'
    b' "core_bytes": [0, 0], "file_bytes": [16777216, 16777216], "interfaces": ["lo"],'
    b' "routes": ["ENETUNREACH", "EADDRNOTAVAIL"],'
    b' "devices": ["full", "null", "ptmx", "pts/ptmx", "random", "tty", "urandom", "zero"]}\n'
)
SEEN = json.loads(RECORDED.splitlines()[-1])


def failing(changes: dict[str, object], *, copied: bool = True) -> list[str]:
    answer = Answer(json.dumps(SEEN | changes).encode())
    return [check.id for check in judge(ASKED, answer, copied=copied) if not check.holds]


def test_a_recorded_answer_of_a_sound_engine_proves_it() -> None:
    checks = judge(ASKED, Answer(RECORDED), copied=True)
    assert [check.id for check in checks if not check.holds] == []
    assert Proof(checks, 1.0).holds


OFF: list[tuple[str, dict[str, object]]] = [
    ("probe", {"problems": ["memory: ValueError: odd"]}),
    ("user", {"uids": [0, 0, 0]}),
    ("user", {"uids": [10001, 10001, 0]}),
    ("user", {"gids": [10001, 0, 10001]}),
    ("user", {"groups": [0, 10001]}),
    ("capabilities", {"capabilities": "1000"}),
    ("no-new-privileges", {"no_new_privileges": 0}),
    ("seccomp", {"seccomp": 0}),
    ("memory", {"memory_bytes": -1}),
    ("memory", {"memory_bytes": 67108865}),
    ("swap", {"swap_bytes": 67108864}),
    ("swap", {"swap_bytes": -1}),
    ("swap", {"swap_bytes": None, "swap_total_kb": 4}),
    ("cpu", {"cpu_nano": -1}),
    ("cpu", {"cpu_nano": 1_000_000_000}),
    ("cpu", {"cpu_share_percent": 76}),
    ("processes", {"pids_limit": -1}),
    ("processes", {"tasks": 321, "fork": ""}),
    ("processes", {"fork": "done"}),
    ("processes", {"tasks": 12}),
    ("processes", {"tasks": 257}),
    ("network", {"interfaces": ["eth0", "lo"]}),
    ("network", {"interfaces": []}),
    ("network", {"routes": ["done", "ENETUNREACH"]}),
    ("network", {"routes": ["ENETUNREACH", "done"]}),
    ("network", {"routes": ["EACCES", "ENETUNREACH"]}),
    ("network", {"routes": ["ENETUNREACH"]}),
    ("devices", {"devices": ["null", "nvidia0"]}),
    ("read-only-root", {"root": "done"}),
    ("read-only-root", {"root": "EACCES"}),
    ("read-only-inputs", {"inputs": "EACCES"}),
    ("tmp", {"tmp_end": "done", "tmp_bytes": 17825792}),
    ("tmp", {"tmp_bytes": 0}),
    ("tmp", {"tmp_files": 1_000_000}),
    ("file-size", {"large_file": "done"}),
    ("file-size", {"file_bytes": [16777216, -1]}),
    ("open-files", {"open_files": [1024, 1048576]}),
    ("core-dumps", {"core_bytes": [0, -1]}),
    ("outputs", {"outputs": "EACCES"}),
]


@pytest.mark.parametrize(("check", "changes"), OFF)
def test_a_value_that_is_off_fails_its_check_alone(check: str, changes: dict[str, object]) -> None:
    assert failing(changes) == [check]


def test_every_check_has_a_value_that_fails_it() -> None:
    checks = judge(ASKED, Answer(RECORDED), copied=True)
    assert {check.id for check in checks} == {check for check, _ in OFF}
    assert all(check.asked and check.seen and check.why for check in checks)


@pytest.mark.parametrize(
    "field",
    [field.name for field in fields(Seen) if field.name not in {"problems", "swap_total_kb"}],
)
def test_what_could_not_be_found_out_proves_nothing(field: str) -> None:
    if field == "swap_bytes":
        assert failing({field: None, "swap_total_kb": None}) == ["swap"]
    else:
        assert len(failing({field: None})) == 1


def test_no_limit_on_swap_does_no_harm_where_there_is_no_swap() -> None:
    assert failing({"swap_bytes": None, "swap_total_kb": 0}) == []


def test_a_slow_machine_is_no_weak_limit() -> None:
    assert failing({"cpu_share_percent": 3}) == []


def test_a_result_that_does_not_come_out_fails_the_outputs() -> None:
    assert failing({}, copied=False) == ["outputs"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(b""), "nothing"),
        (Answer(b"{"), "not strict JSON"),
        (Answer(b"Traceback\nImportError: no json"), "ImportError: no json"),
        (Answer(b'{"uids": [1]}'), "missing key"),
        (Answer(b'{"problems": [], "uid": 1}'), "unknown key"),
        (Answer(b'{"problems": [], "seccomp": true}'), "must be an integer"),
        (Answer(b"\xff\xfe"), "not strict JSON"),
        (Answer(RECORDED, "it did not end within 60 s"), "did not end within 60 s"),
    ],
)
def test_an_answer_that_cannot_be_read_is_one_failed_check(answer: Answer, says: str) -> None:
    (check,) = judge(ASKED, answer, copied=True)
    assert (check.id, check.holds) == ("probe", False)
    assert says in check.seen


@given(st.binary() | st.text().map(lambda text: b"{" + text.encode("utf-8", "replace")))
def test_no_output_however_odd_raises_or_proves_anything(output: bytes) -> None:
    assert not all(check.holds for check in judge(ASKED, Answer(output), copied=True))


def test_no_checks_are_no_proof() -> None:
    assert not Proof((), 0.0).holds


def test_what_is_asked_is_what_the_profile_gives_to_jobs() -> None:
    arguments = create_arguments(replace(SPEC, ram_mb=512, disk_mb=3), ImageDefaults())
    asked = asked_of(replace(SPEC, ram_mb=512, disk_mb=3))
    limits = {each.name: (each.soft, each.hard) for each in arguments["ulimits"]}
    assert arguments["mem_limit"] == arguments["memswap_limit"] == asked.memory_bytes
    assert arguments["nano_cpus"] == asked.nano_cpus
    assert arguments["pids_limit"] == asked.pids
    assert arguments["shm_size"] == asked.tmp_bytes == 64 << 20
    assert f"nr_inodes={asked.tmp_files}," in arguments["tmpfs"]["/tmp"]  # noqa: S108 - in there
    assert limits["fsize"] == (asked.file_bytes,) * 2 == (3 << 20,) * 2
    assert limits["nofile"] == asked.open_files


def test_the_probe_needs_nothing_but_itself() -> None:
    compiled = compile(probe_text(), "probe", "exec")
    assert "nunet_dms" not in compiled.co_names
    assert len(probe_text()) < 100_000  # of one argument the kernel takes 128 kB (execve(2))


V1_LINES = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n3:pids:/docker/abc\n0::/system.slice\n"


def cgroups(root: Path, lines: str, files: dict[str, str]) -> None:
    for name, text in {
        "proc/self/cgroup": lines,
        "proc/meminfo": "MemTotal: 100 kB\nSwapTotal:  8 kB\n",
        **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


V1_FILES = {
    "memory/memory.limit_in_bytes": "67108864\n",
    "memory/memory.memsw.limit_in_bytes": "100663296\n",
    "cpu,cpuacct/cpu.cfs_quota_us": "50000\n",
    "cpu,cpuacct/cpu.cfs_period_us": "100000\n",
}
V2_FILES = {
    "memory.max": "67108864\n",
    "memory.swap.max": "33554432\n",
    "cpu.max": "50000 100000\n",
}


@pytest.mark.parametrize(
    ("lines", "files"),
    [
        pytest.param(V1_LINES, V1_FILES, id="v1, a group that is bound on top"),
        pytest.param(
            V1_LINES,
            {name.replace("/", "/docker/abc/"): text for name, text in V1_FILES.items()}
            | {"memory/memory.limit_in_bytes": "9223372036854771712\n"},
            id="v1, a group below the machine's",
        ),
        pytest.param(
            V1_LINES.replace("cpu,cpuacct", "cpu"),
            {name.replace("cpu,cpuacct", "cpu"): text for name, text in V1_FILES.items()},
            id="v1, cpu alone",
        ),
        pytest.param("0::/\n", V2_FILES, id="v2, a namespace of its own"),
        pytest.param(
            "0::/system.slice/docker-abc.scope\n",
            {f"system.slice/docker-abc.scope/{name}": text for name, text in V2_FILES.items()},
            id="v2, the machine's namespace",
        ),
    ],
)
def test_the_probe_reads_limits_in_both_versions_of_cgroups(
    lines: str, files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cgroups(tmp_path, lines, files)
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.setattr(probe, "BURN_S", 0.0)
    assert probe.memory({}) == {
        "memory_bytes": 64 << 20, "swap_bytes": 32 << 20, "swap_total_kb": 8,
    }  # fmt: skip
    assert probe.cpu({})["cpu_nano"] == 500_000_000


@pytest.mark.parametrize(
    ("lines", "files", "memory", "cpu"),
    [
        (
            V1_LINES,
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "memory/memory.memsw.limit_in_bytes": "9223372036854771712",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            (-1, -1),
            -1,
        ),
        ("0::/\n", {"memory.max": "max", "memory.swap.max": "max", "cpu.max": "max 100000"},
         (-1, -1), -1),
        ("0::/\n", {}, (None, None), None),
        (V1_LINES, {"memory/memory.limit_in_bytes": "67108864"}, (64 << 20, None), None),
    ],
)  # fmt: skip
def test_the_probe_tells_no_limit_from_nothing_to_read(
    lines: str, files: dict[str, str], memory: tuple[int | None, int | None], cpu: int | None,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cgroups(tmp_path, lines, files)
    monkeypatch.setattr(probe, "ROOT", tmp_path)
    monkeypatch.setattr(probe, "BURN_S", 0.0)
    seen = probe.memory({})
    assert (seen["memory_bytes"], seen["swap_bytes"]) == memory
    assert probe.cpu({})["cpu_nano"] == cpu


def test_a_look_that_fails_is_told_and_hides_no_other(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_: object) -> dict[str, object]:
        raise KeyError("Seccomp")

    monkeypatch.setattr(probe, "LOOKS", (broken, lambda asked: {"tasks": asked["pids"]}))
    monkeypatch.setattr("sys.argv", ["-c", '{"pids": 7}'])
    probe.main()
    assert json.loads(capsys.readouterr().out) == {
        "problems": ["broken: KeyError: 'Seccomp'"],
        "tasks": 7,
    }
