"""What a job can see of its container and do in it, said from inside: one line of JSON.

The proof (proof.py) runs this text as `python3 -I -S -c <text> <asked as JSON>`, so it imports
nothing but the standard library. It finds out and judges nothing: proof_checks.py does. A look
that fails leaves its values out and says why in `problems`; the other looks go on.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import socket
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

UNLIMITED = -1
NO_LIMIT_FROM = 2**60  # cgroup v1 writes "no limit" as the largest page-aligned number
BURN_S = 0.6  # six of the scheduler's periods of 0.1 s
SPARE_TASKS = 64  # how far beyond its limit of processes it goes before giving up
CHUNK = 1024 * 1024
LIST_MAX = 32
STACK_BYTES = 256 * 1024
ROOT = Path("/")
SCRATCH = Path("/tmp")  # noqa: S108 - a container's own

# Written by none: TEST-NET-1 (RFC 5737) and the documentation prefix (RFC 3849).
NOWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))


def user(_asked: dict[str, Any]) -> dict[str, Any]:
    """Who runs this."""
    groups = sorted(set(os.getgroups()))
    return {"uids": list(os.getresuid()), "gids": list(os.getresgid()), "groups": groups}


def privileges(_asked: dict[str, Any]) -> dict[str, Any]:
    """Capabilities (all five sets as one), no_new_privs and seccomp: proc_pid_status(5)."""
    rows = dict(line.split(":", 1) for line in (ROOT / "proc/self/status").read_text().splitlines())
    capabilities = 0
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        capabilities |= int(rows[name], 16)
    return {
        "capabilities": f"{capabilities:x}",
        "no_new_privileges": int(rows["NoNewPrivs"]),
        "seccomp": int(rows["Seccomp"]),
    }


def memory(_asked: dict[str, Any]) -> dict[str, Any]:
    """The limit of memory, and of swap beyond it; how much swap the machine has."""
    for line in (ROOT / "proc/meminfo").read_text().splitlines():
        if line.startswith("SwapTotal:"):
            swap_total_kb = int(line.split()[1])
            break
    else:
        swap_total_kb = 0
    limit = number(cgroup("memory", "memory.limit_in_bytes", "memory.max"))
    both = number(cgroup("memory", "memory.memsw.limit_in_bytes", ""))
    swap = number(cgroup("", "", "memory.swap.max"))
    if both is not None and limit is not None:
        swap = UNLIMITED if UNLIMITED in {both, limit} else both - limit
    return {"memory_bytes": limit, "swap_bytes": swap, "swap_total_kb": swap_total_kb}


def cpu(_asked: dict[str, Any]) -> dict[str, Any]:
    """The limit in billionths of a core, and the share that a busy loop really gets."""
    both = cgroup("", "", "cpu.max").split()  # "50000 100000", or "max 100000"
    quota = number(both[0] if both else cgroup("cpu", "cpu.cfs_quota_us", ""))
    period = number(both[1] if both else cgroup("cpu", "cpu.cfs_period_us", ""))
    nano = None
    if quota is not None and period:
        nano = UNLIMITED if quota == UNLIMITED else quota * 1_000_000_000 // period
    began, used = time.perf_counter(), time.process_time()
    while time.perf_counter() - began < BURN_S:
        pass
    share = (time.process_time() - used) / (time.perf_counter() - began)
    return {"cpu_nano": nano, "cpu_share_percent": round(100 * share)}


def processes(asked: dict[str, Any]) -> dict[str, Any]:
    """The limit, and whether the kernel really stops there.

    It counts threads too (kernel: cgroup-v1/pids). They fill it up, for they take a fifth of the
    memory that forks of this interpreter take; then one fork is tried.
    """
    limit = number(cgroup("pids", "pids.max", "pids.max"))
    release, refused = threading.Event(), False
    threads: list[threading.Thread] = []
    threading.stack_size(STACK_BYTES)
    try:
        while len(threads) < asked["pids"] + SPARE_TASKS:
            thread = threading.Thread(target=release.wait, daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:  # "can't start new thread"
        refused = True
    fork = forked() if refused else ""
    release.set()
    for thread in threads:
        thread.join()
    return {"pids_limit": limit, "tasks": len(threads) + 1, "fork": fork}


def forked() -> str:
    """Fork once; return the name of the error, or that it worked."""
    try:
        child = os.fork()
    except OSError as error:
        return name_of(error)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    return "done"


def file_systems(asked: dict[str, Any]) -> dict[str, Any]:
    """Which of root, inputs and outputs can be written; one input is copied to the outputs."""
    source = Path(asked["inputs"], asked["file"])
    target = Path(asked["outputs"], asked["file"])
    found = {"root": tried(Path("/nunet-proof")), "inputs": tried(source.with_suffix(".new"))}
    try:
        target.write_bytes(source.read_bytes()[:CHUNK])
    except OSError as error:
        return {**found, "outputs": name_of(error)}
    return {**found, "outputs": "done"}


def scratch(asked: dict[str, Any]) -> dict[str, Any]:
    """How much goes into /tmp before it is full, and how many files it would take."""
    written, end = 0, "done"
    made: list[Path] = []
    try:
        while written <= asked["tmp_bytes"]:
            made.append(SCRATCH / f"nunet-proof-{len(made)}")
            with made[-1].open("wb", buffering=0) as file:
                written += file.write(bytes(CHUNK))
    except OSError as error:
        end = name_of(error)
    for path in made:
        path.unlink(missing_ok=True)
    return {"tmp_bytes": written, "tmp_end": end, "tmp_files": os.statvfs(SCRATCH).f_files}


def large_file(asked: dict[str, Any]) -> dict[str, Any]:
    """Write one byte behind the largest size that a file may have; the file stays sparse."""
    path, outcome = SCRATCH / "nunet-proof-large", "done"
    try:
        with path.open("wb") as file:
            os.pwrite(file.fileno(), b"x", asked["file_bytes"])
    except OSError as error:
        outcome = name_of(error)
    path.unlink(missing_ok=True)
    return {"large_file": outcome}


def network(_asked: dict[str, Any]) -> dict[str, Any]:
    """Interfaces that are up, and whether a route leads out; nothing is sent (UDP connect)."""
    up = [
        entry.name
        for entry in sorted((ROOT / "sys/class/net").iterdir())
        if int((entry / "flags").read_text(), 16) & 1  # IFF_UP
    ]
    return {"interfaces": up[:LIST_MAX], "routes": [route(*nowhere) for nowhere in NOWHERE]}


def route(family: int, address: str) -> str:
    """Return the error of finding a route to an address, or that there is one."""
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as wanted:
            wanted.connect((address, 9))
    except OSError as error:
        return name_of(error)
    return "done"


def devices(_asked: dict[str, Any]) -> dict[str, Any]:
    """Every device node below /dev."""
    return {"devices": sorted(nodes(str(ROOT / "dev")))[:LIST_MAX]}


def nodes(top: str) -> Iterator[str]:
    """Yield the device nodes below a folder by their path from it."""
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - os.walk gives text
            with contextlib.suppress(FileNotFoundError):  # gone since it was listed
                mode = os.lstat(path).st_mode
                if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
                    yield os.path.relpath(path, top)


def limits(_asked: dict[str, Any]) -> dict[str, Any]:
    """Soft and hard limits of open files, core dumps and file sizes; -1 is none (getrlimit(2))."""
    return {
        "open_files": list(resource.getrlimit(resource.RLIMIT_NOFILE)),
        "core_bytes": list(resource.getrlimit(resource.RLIMIT_CORE)),
        "file_bytes": list(resource.getrlimit(resource.RLIMIT_FSIZE)),
    }


LOOKS: tuple[Callable[[dict[str, Any]], dict[str, Any]], ...] = (
    *(user, privileges, memory, cpu, processes),
    *(file_systems, scratch, large_file, limits),
    *(network, devices),
)


def cgroup(controller: str, v1: str, v2: str) -> str:
    """Return one file of our own control group; empty where there is none (cgroups(7))."""
    top = ROOT / "sys/fs/cgroup"
    for line in (ROOT / "proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers:
            folders, name = [top], v2
        elif controller in controllers.split(","):
            folders, name = [top / controllers, top / controller], v1
        else:
            continue
        for folder in folders:
            for place in (folder / path.lstrip("/"), folder):  # or a group that sees itself on top
                if name and (place / name).is_file():
                    return (place / name).read_text().strip()
    return ""


def number(text: str) -> int | None:
    """Read a limit: UNLIMITED for none, None when there is nothing to read."""
    if not text:
        return None
    value = UNLIMITED if text == "max" else int(text)
    return UNLIMITED if value < 0 or value >= NO_LIMIT_FROM else value


def tried(path: Path) -> str:
    """Create a file and remove it; return the name of the error, or that it worked."""
    try:
        path.write_bytes(b"x")
        path.unlink()
    except OSError as error:
        return name_of(error)
    return "done"


def name_of(error: OSError) -> str:
    """Return the symbol of an error, such as EROFS."""
    return errno.errorcode.get(error.errno or 0, str(error))


def main() -> None:
    """Look at everything and print what was seen."""
    asked = json.loads(sys.argv[1])
    seen: dict[str, Any] = {"problems": []}
    for look in LOOKS:
        try:
            seen.update(look(asked))
        except Exception as error:  # noqa: BLE001 - no look may hide what the others saw
            seen["problems"].append(f"{look.__name__}: {type(error).__name__}: {error}"[:200])
    print(json.dumps(seen), flush=True)  # noqa: T201 - its answer


if __name__ == "__main__":
    main()
