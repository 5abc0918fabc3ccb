"""What a container was asked to be against what it saw of itself from inside: pure comparison.

Each check has a row in CHECKS; its values come from the profile that every job gets (Asked) and
from the probe's one line of JSON (Seen). None in Seen: the probe could not find it out, which
proves nothing, so that the check does not hold.
"""

from __future__ import annotations

from collections.abc import Callable

from nunet_dms.errors import MalformedError
from nunet_dms.node.proof_values import UNLIMITED, Answer, Asked, ProofCheck, Seen
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import MB

UNKNOWN = "could not be found out"
SHARE_TOLERANCE_PERCENT = 150
"""Of the share asked: a short loop on a busy machine is measured no better."""
TASKS_SHORT_MAX = 16
"""How far below its limit of processes the kernel may stop: init and the runtime count too."""
TEXT_MAX_CHARACTERS = 300
USUAL_DEVICES = frozenset(
    (
        *("null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts/ptmx"),
        "console",  # the container's own terminal, not the machine's
    )
)
"""What every container has (OCI runtime specification, default devices)."""


def judge(asked: Asked, answer: Answer, *, copied: bool) -> tuple[ProofCheck, ...]:
    """Compare every row; a probe that said nothing readable leaves one check, which fails.

    `copied` tells whether the node found among the outputs what the probe copied from its inputs.
    """
    if answer.problem:
        return (_probe(answer.problem),)
    try:
        seen = strict.decode(Seen, _last_line(answer.output))
    except MalformedError as error:
        said = answer.output.decode("utf-8", errors="replace").strip()
        return (_probe(f"{error}; it said: {said or 'nothing'}"),)
    rows = [check(asked, seen) for check in CHECKS]
    return (_probe("; ".join(seen.problems)), *rows, _outputs(seen, copied))


def _last_line(output: bytes) -> bytes:
    """Return the line that is the answer: Python's warnings may stand before it."""
    lines = [line for line in output.splitlines() if line.startswith(b"{")]
    return lines[-1] if lines else b""


def _probe(problem: str) -> ProofCheck:
    return ProofCheck(
        "probe", not problem, "a test program runs and answers",
        problem[:TEXT_MAX_CHARACTERS] or "it ran and answered",
        "a machine that cannot run this cannot run jobs",
    )  # fmt: skip


def _user(asked: Asked, seen: Seen) -> ProofCheck:
    holds = (
        seen.uids == (asked.uid,) * 3
        and seen.gids == (asked.gid,) * 3
        and seen.groups in {(), (asked.gid,)}
        and 0 not in {asked.uid, asked.gid}
    )
    said = f"uid {_set(seen.uids)}, gid {_set(seen.gids)}, groups {_set(seen.groups)}"
    return ProofCheck(
        "user", holds, f"uid {asked.uid}, gid {asked.gid}, no other group, not root", said,
        "root in a container is one kernel bug away from root on this machine",
    )  # fmt: skip


def _capabilities(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "capabilities", seen.capabilities == "0", "none", _or_unknown(seen.capabilities),
        "with capabilities a job could change this machine's network, clock or devices",
    )  # fmt: skip


def _no_new_privileges(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "no-new-privileges", seen.no_new_privileges == 1, "1", _or_unknown(seen.no_new_privileges),
        "without it a setuid program in a job's image makes the job root",
    )  # fmt: skip


def _seccomp(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "seccomp", seen.seccomp == 2, "2 (filtered)", _or_unknown(seen.seccomp),
        "without a filter a job reaches every system call of this machine's kernel",
    )  # fmt: skip


def _memory(asked: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "memory", seen.memory_bytes == asked.memory_bytes, _mb(asked.memory_bytes),
        _mb(seen.memory_bytes),
        "a job could take all of this machine's memory",
    )  # fmt: skip


def _swap(_: Asked, seen: Seen) -> ProofCheck:
    """No limit on swap does no harm where there is no swap: then the kernel may not even count."""
    nowhere = seen.swap_bytes is None and seen.swap_total_kb == 0
    return ProofCheck(
        "swap", seen.swap_bytes == 0 or nowhere, "none",
        "this machine has none" if nowhere else _mb(seen.swap_bytes),
        "a job over its memory would slow down the machine instead of ending; where the kernel"
        " does not limit swap (cgroup v1), start it with swapaccount=1, or switch swap off",
    )  # fmt: skip


def _cpu(asked: Asked, seen: Seen) -> ProofCheck:
    percent = asked.nano_cpus // 10_000_000
    share = seen.cpu_share_percent
    holds = (
        seen.cpu_nano == asked.nano_cpus
        and share is not None
        and share * 100 <= percent * SHARE_TOLERANCE_PERCENT
    )
    limit = "no limit" if seen.cpu_nano == UNLIMITED else _share(seen.cpu_nano)
    used = UNKNOWN if share is None else f"{share} %"
    return ProofCheck(
        "cpu", holds, f"{percent} % of a core", f"limit {limit}; a busy loop got {used}",
        "a job could take more of the processor than it pays for, from you and from other jobs",
    )  # fmt: skip


def _processes(asked: Asked, seen: Seen) -> ProofCheck:
    tasks = seen.tasks
    holds = (
        seen.pids_limit == asked.pids
        and seen.fork == "EAGAIN"
        and tasks is not None
        and asked.pids - TASKS_SHORT_MAX <= tasks <= asked.pids
    )
    limit = "no limit" if seen.pids_limit == UNLIMITED else _or_unknown(seen.pids_limit)
    stop = "and no end" if seen.fork in {"", "done"} else "and no more"
    return ProofCheck(
        "processes", holds, f"{asked.pids} at most",
        f"limit {limit}; {_or_unknown(tasks)} started {stop}",
        "a job that starts processes without end would stop this machine",
    )  # fmt: skip


def _root(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "read-only-root", seen.root == "EROFS", "a write fails with EROFS", _tried(seen.root),
        "what a job writes to its root file system has no bound and fills this machine's disk",
    )  # fmt: skip


def _inputs(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "read-only-inputs", seen.inputs == "EROFS", "a write fails with EROFS",
        _tried(seen.inputs),
        "a job could change files on this machine",
    )  # fmt: skip


def _outputs(seen: Seen, copied: bool) -> ProofCheck:
    said = _tried(seen.outputs)
    if seen.outputs == "done" and not copied:
        said = "a write worked, but nothing of it came out of the container"
    return ProofCheck(
        "outputs", seen.outputs == "done" and copied, "what is written can be collected", said,
        "a job's results would be lost; is the engine on this machine, and may it share"
        " the folder where jobs live?",
    )  # fmt: skip


def _tmp(asked: Asked, seen: Seen) -> ProofCheck:
    holds = (
        seen.tmp_end == "ENOSPC"
        and seen.tmp_bytes is not None
        and 0 < seen.tmp_bytes <= asked.tmp_bytes
        and seen.tmp_files == asked.tmp_files
    )
    end = "and no end" if seen.tmp_end == "done" else f"then {_or_unknown(seen.tmp_end)}"
    return ProofCheck(
        "tmp", holds, f"{_mb(asked.tmp_bytes)} in {asked.tmp_files} files",
        f"{_mb(seen.tmp_bytes)} written, {end}; room for {_or_unknown(seen.tmp_files)} files",
        "a job needs a little room for temporary files, and no more than that",
    )  # fmt: skip


def _network(_: Asked, seen: Seen) -> ProofCheck:
    routes = seen.routes or ()
    holds = (
        seen.interfaces == ("lo",)
        and len(routes) == 2
        and routes[0] == "ENETUNREACH"
        and routes[1] != "done"
    )
    return ProofCheck(
        "network", holds, "only lo, no way out",
        f"interfaces {_list(seen.interfaces)}; ways out: IPv4 {_way(routes, 0)},"
        f" IPv6 {_way(routes, 1)}",
        "a job could attack this machine, your home network, and others in your name",
    )  # fmt: skip


def _devices(_: Asked, seen: Seen) -> ProofCheck:
    more = None if seen.devices is None else sorted(set(seen.devices) - USUAL_DEVICES)
    return ProofCheck(
        "devices", more == [], "none but the usual",
        UNKNOWN if more is None else ", ".join(more) or "none but the usual",
        "a device is a way to this machine's hardware",
    )  # fmt: skip


def _file_size(asked: Asked, seen: Seen) -> ProofCheck:
    holds = seen.file_bytes == (asked.file_bytes,) * 2 and seen.large_file == "EFBIG"
    return ProofCheck(
        "file-size", holds, f"{_mb(asked.file_bytes)} at most",
        f"limit {_largest(seen.file_bytes)}; one byte more: {_tried(seen.large_file)}",
        "a job could fill this machine's disk with one file faster than it is stopped",
    )  # fmt: skip


def _open_files(asked: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "open-files", seen.open_files == asked.open_files, _list(asked.open_files),
        _limit(seen.open_files),
        "open files cost memory of the kernel",
    )  # fmt: skip


def _core(_: Asked, seen: Seen) -> ProofCheck:
    return ProofCheck(
        "core-dumps", seen.core_bytes == (0, 0), "none", _limit(seen.core_bytes),
        "a job that crashes would write its memory to this machine's disk",
    )  # fmt: skip


CHECKS: tuple[Callable[[Asked, Seen], ProofCheck], ...] = (
    *(_user, _capabilities, _no_new_privileges, _seccomp),
    *(_memory, _swap, _cpu, _processes),
    *(_network, _devices, _root, _inputs, _tmp),
    *(_file_size, _open_files, _core),
)


def _or_unknown(value: object) -> str:
    return UNKNOWN if value is None else str(value)[:TEXT_MAX_CHARACTERS]


def _mb(size: int | None) -> str:
    if size is None:
        return UNKNOWN
    return "no limit" if size == UNLIMITED else f"{size / MB:.4g} MB"


def _share(nano: int | None) -> str:
    return UNKNOWN if nano is None else f"{nano / 10_000_000:.4g} %"


def _tried(outcome: str | None) -> str:
    if outcome is None:
        return UNKNOWN
    return "a write worked" if outcome == "done" else f"a write failed with {outcome}"


def _way(routes: tuple[str, ...], at: int) -> str:
    if at >= len(routes):
        return UNKNOWN
    return "open" if routes[at] == "done" else f"closed ({routes[at]})"


def _list(values: tuple[object, ...] | None) -> str:
    return UNKNOWN if values is None else ", ".join(map(str, values)) or "none"


def _set(values: tuple[int, ...] | None) -> str:
    return UNKNOWN if values is None else ", ".join(map(str, sorted(set(values)))) or "none"


def _largest(values: tuple[int, ...] | None) -> str:
    """Return the looser of a soft and a hard limit in bytes."""
    if not values:
        return UNKNOWN
    return _mb(UNLIMITED if UNLIMITED in values else max(values))


def _limit(values: tuple[int, ...] | None) -> str:
    if values is None:
        return UNKNOWN
    return ", ".join("no limit" if value == UNLIMITED else str(value) for value in values)
