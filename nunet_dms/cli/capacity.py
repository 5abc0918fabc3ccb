"""`nunet capacity`: what this machine has, offers, uses and has free, and whether it is enough."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import oracle_url
from nunet_dms.cli.status import Seen, free_of, look
from nunet_dms.cli.verdict_view import VerdictFacts, verdict_facts, verdict_parts
from nunet_dms.errors import NotOnboardedError
from nunet_dms.node.rows import Capacity

if TYPE_CHECKING:
    from nunet_dms.config import CapacityConfig
    from nunet_dms.machine.fingerprint import Fingerprint

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Amount:
    """One resource; None where it is not known or nothing is offered yet."""

    resource: str
    unit: str
    total: int | None
    onboarded: int | None
    in_use: int | None
    free: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CapacityFacts:
    """The facts of `nunet capacity --json`, schema nunet.capacity/1."""

    onboarded: bool
    amounts: tuple[Amount, ...]
    cpu_model: str
    cores: int
    physical_cores: int | None
    core_mhz: int | None
    core_mhz_source: str
    virtualization: str
    """The CPU's flag for it: vmx, svm or empty."""
    ram_available_mb: int | None
    gpus: tuple[str, ...]
    platform: str
    hypervisor: str
    os_name: str
    os_id: str
    os_version: str
    kernel: str
    systemd: bool
    """Whether it runs this system."""
    network: str
    """nat, bridged or unknown."""
    engine_version: str
    """Empty if none answers; then `engine_problem` says why, and `engine_cure` what to do."""
    engine_problem: str
    engine_cure: str
    cgroup_version: int | None
    storage_driver: str
    runtimes: tuple[str, ...]
    default_runtime: str
    security_options: tuple[str, ...]
    nvidia_toolkit: str | None
    down_kbps: int | None
    up_kbps: int | None
    speed_measured_s: int | None
    profiles: tuple[VerdictFacts, ...]


@app.command()
def capacity(
    network: bool = typer.Option(False, "--network", help="Measure the line first, up to 10 s."),
    oracle: str = typer.Option("", "--oracle", help="Measure against this Oracle."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Show what this machine has, offers, uses and has free, and the requirements' verdict.

    Works before onboarding too. The line is shown as it was last measured.
    """
    from nunet_dms.machine.fingerprint import take_fingerprint, verdicts  # noqa: PLC0415 - slow
    from nunet_dms.node.speed_file import read_speed  # noqa: PLC0415 - as above

    where = paths.resolve()
    if network:
        _measure(where, oracle)
    settings = _offered(where)
    seen = look(where)
    found = take_fingerprint(where.jobs_dir, 0, read_speed(where.speed_file))
    judged = verdicts(found, settings.core_mhz if settings else None)
    facts = _facts(found, settings, seen, tuple(map(verdict_facts, judged)))
    tables = tuple(part for verdict in judged for part in verdict_parts(verdict))
    shown = render.Shown("nunet.capacity/1", asdict(facts), (*_lines(facts), *tables))
    render.show(shown, as_json)


def _measure(where: paths.Paths, oracle: str) -> None:
    """Measure the line and keep the figure; says so where the Oracle cannot be asked."""
    from nunet_dms.node.speed_file import write_speed  # noqa: PLC0415 - for this option only
    from nunet_dms.provider.first_contact import measure_line  # noqa: PLC0415 - as above

    url = oracle_url(where, oracle)
    speed, problem = measure_line(url)
    if speed is None:
        render.progress(f"the line was not measured: {problem}")
    else:
        write_speed(where.speed_file, speed)


def _offered(where: paths.Paths) -> CapacityConfig | None:
    try:
        return config.load(where.config_file).capacity
    except NotOnboardedError:
        return None


def _facts(
    found: Fingerprint,
    sold: CapacityConfig | None,
    seen: Seen,
    profiles: tuple[VerdictFacts, ...],
) -> CapacityFacts:
    rate = sold.core_mhz if sold else found.cpu.core_mhz
    memory, disk, used = found.memory, found.disk, seen.reserved
    left = free_of(sold, seen) if sold else None
    total_mhz = None if rate is None else found.cpu.cores * rate
    speed = found.speed
    return CapacityFacts(
        onboarded=sold is not None,
        amounts=(
            _amount("CPU", "MHz", total_mhz, sold, used, left),
            _amount("RAM", "MB", memory.total_mb, sold, used, left),
            _amount("disk", "MB", disk.total_mb, sold, used, left),
        ),
        cpu_model=found.cpu.model,
        cores=found.cpu.cores,
        physical_cores=found.cpu.physical_cores,
        virtualization=found.cpu.virtualization,
        ram_available_mb=memory.available_mb,
        core_mhz=rate,
        core_mhz_source=found.cpu.source if rate == found.cpu.core_mhz else "config.toml",
        gpus=tuple(gpu.name for gpu in found.gpus.gpus),
        platform=found.virtualization.kind.value,
        hypervisor=found.virtualization.hypervisor,
        os_name=found.platform.os_name,
        os_id=found.platform.os_id,
        os_version=found.platform.os_version,
        kernel=found.platform.kernel,
        systemd=found.systemd.running,
        network=found.network.attachment.value,
        engine_version=found.engine.version,
        engine_problem=found.engine.problem,
        engine_cure=found.engine.cure,
        cgroup_version=found.engine.cgroup_version,
        storage_driver=found.engine.storage_driver,
        runtimes=found.engine.runtimes,
        default_runtime=found.engine.default_runtime,
        security_options=found.engine.security_options,
        nvidia_toolkit=found.engine.nvidia_toolkit,
        down_kbps=speed.down_kbps if speed else None,
        up_kbps=speed.up_kbps if speed else None,
        speed_measured_s=speed.measured_s if speed else None,
        profiles=profiles,
    )


FIELDS = {"CPU": "cpu_mhz", "RAM": "ram_mb", "disk": "disk_mb"}


def _amount(
    resource: str,
    unit: str,
    total: int | None,
    sold: CapacityConfig | None,
    used: Capacity,
    left: Capacity | None,
) -> Amount:
    if sold is None or left is None:
        return Amount(resource, unit, total, None, None, None)
    offered, in_use, free = (getattr(each, FIELDS[resource]) for each in (sold, used, left))
    return Amount(resource, unit, total, offered, in_use, free)


def _lines(facts: CapacityFacts) -> tuple[str | render.Table, ...]:
    rate = "an unknown rate" if facts.core_mhz is None else f"{facts.core_mhz} MHz"
    where = facts.platform + (f" ({facts.hypervisor})" if facts.hypervisor else "")
    rows = tuple(
        (
            f"{each.resource} {each.unit}",
            *map(_shown, (each.total, each.onboarded, each.in_use, each.free)),
        )
        for each in facts.amounts
    )
    parts: list[str | render.Table] = [
        f"CPU     {facts.cpu_model or 'unknown model'}: {facts.cores} cores of {rate}"
        f" ({facts.core_mhz_source})",
        f"GPU     {', '.join(facts.gpus) or 'none'}",
        f"system  {facts.os_name}, kernel {facts.kernel}, {where}",
        f"engine  {_engine_words(facts)}",
        render.Table(("resource", "total", "onboarded", "in use", "free"), rows),
    ]
    if not facts.onboarded:
        parts.append("not onboarded yet; type: nunet onboard")
    return tuple(parts)


def _engine_words(facts: CapacityFacts) -> str:
    if not facts.engine_version:
        return "; ".join(filter(None, (facts.engine_problem, facts.engine_cure)))
    groups = f", cgroup v{facts.cgroup_version}" if facts.cgroup_version else ""
    return f"Docker {facts.engine_version}{groups}, {facts.storage_driver}"


def _shown(value: int | None) -> str:
    return "-" if value is None else str(value)
