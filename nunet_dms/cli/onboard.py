"""`nunet onboard`: offer a share of this machine, and start working."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.cli.contact import ORACLE_VARIABLE
from nunet_dms.cli.verdict_view import VerdictFacts, verdict_facts, verdict_parts
from nunet_dms.cli.worker import Started, start_worker, started_lines, stop_worker
from nunet_dms.errors import ExitCode, MalformedError, UsageError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.share import share_bounds

if TYPE_CHECKING:
    from nunet_dms.config import Config
    from nunet_dms.provider.onboarding import Plan, Survey, Wish

TRIES = 3
"""Of one question, before giving up on its answer."""

app = typer.Typer()


@dataclass(frozen=True, slots=True, kw_only=True)
class Onboarded:
    """The facts of `nunet onboard --json`, schema nunet.onboard/1."""

    config_file: str
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    core_mhz: int
    oracle_url: str
    oracle_fingerprint: str
    wallet: str
    wallet_file: str
    worker_pid: int | None
    warnings: tuple[str, ...]
    oracle_answers: bool
    engine_checks: int
    """How many limits a test container proved; 0 with --no-start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The facts of `nunet onboard --dry-run --json`, schema nunet.onboard.verdict/1."""

    would_onboard: bool
    """Whether the machine may join, and an engine answers that could be proven."""
    profiles: tuple[VerdictFacts, ...]
    cpu_mhz: int
    ram_mb: int
    disk_mb: int
    core_mhz: int
    total_mhz: int
    total_ram_mb: int
    free_disk_mb: int | None
    platform: str
    hypervisor: str
    engine_version: str
    """Empty if none answers; then `engine_problem` says why."""
    engine_problem: str
    oracle_url: str
    oracle_answers: bool
    changes: tuple[str, ...]


@app.command()
def onboard(
    cpu: int | None = typer.Option(None, help="CPU to offer, in MHz: cores times their rate."),
    ram: int | None = typer.Option(None, help="RAM to offer, in MB."),
    disk: int | None = typer.Option(None, help="Disk for jobs, in MB."),
    oracle: str = typer.Option("", help="The Oracle's URL; else $NUNET_ORACLE, else loopback."),
    oracle_key: str = typer.Option("", help="The Oracle's ticket key, 64 hex digits, to pin."),
    wallet: str = typer.Option("", help="Cardano address to be paid at; else one is made."),
    core_mhz: int | None = typer.Option(None, help="MHz of one core, if the kernel is wrong."),
    price_ghz_hour: int | None = typer.Option(None, help="Base units for 1000 MHz and an hour."),
    price_ram_gb_hour: int | None = typer.Option(None, help="Base units for 1000 MB and an hour."),
    price_gpu_hour: int | None = typer.Option(None, help="Base units for a GPU and an hour."),
    hours: str | None = typer.Option(None, help="When to take jobs: 'mon-fri 18:00-08:00'."),
    skip_speed_test: bool = typer.Option(False, "--skip-speed-test", help="Do not measure."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show the verdict, write nothing."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask: as before, else half."),
    no_start: bool = typer.Option(False, "--no-start", help="Write the settings only."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Offer a share of this machine, and start working.

    Example: nunet onboard --cpu 4000 --ram 2000
    """
    from nunet_dms.provider import onboarding  # noqa: PLC0415 - requests, nacl: here only
    from nunet_dms.provider.offer import Wanted  # noqa: PLC0415 - as above

    where = paths.resolve()
    may_ask = render.can_ask() and not (yes or dry_run)
    wish = onboarding.Wish(
        offer=Wanted(cpu, ram, disk, core_mhz),
        oracle_url=oracle or os.environ.get(ORACLE_VARIABLE, ""),
        oracle_key=oracle_key,
        wallet=wallet,
        per_ghz_hour=price_ghz_hour,
        per_ram_gb_hour=price_ram_gb_hour,
        per_gpu_hour=price_gpu_hour,
        hours=hours,
        measures_line=not skip_speed_test,
    )
    if not (may_ask or yes or dry_run):
        _need_numbers(wish)
    seen = onboarding.survey(where, wish, render.progress)
    if dry_run:
        decided = onboarding.plan(where, wish, seen)
        verdict = _verdict_code(seen)
        render.show(_judged(decided, verdict), as_json)
        raise typer.Exit(int(verdict))
    onboarding.refuse_unfit(seen)
    if not no_start:
        onboarding.refuse_without_engine(seen)
    if may_ask:
        wish = _asked(where, wish, seen)
    decided = onboarding.plan(where, wish, seen)
    for line in decided.words:
        render.progress(line)
    if may_ask and not render.confirm("Write this" + ("?" if no_start else " and start?")):
        raise UsageError("nothing was changed", hint="to skip the question: --yes")
    checks = 0 if no_start else _proven(where)
    onboarding.write(where, decided)
    started = None if no_start else _start(where, seen.before, decided.settings)
    facts = _facts(where, decided, started, checks)
    render.show(render.Shown("nunet.onboard/1", facts, _lines(facts, started)), as_json)


def _need_numbers(wish: Wish) -> None:
    """Where nobody can be asked, what is missing is an error that says what to type."""
    if wish.offer.cpu_mhz is not None and wish.offer.ram_mb is not None:
        return
    cpu, total_mb = read_cpu(), read_memory().total_mb
    rate, half = wish.offer.core_mhz or cpu.core_mhz, ""
    if rate is not None and total_mb is not None:
        half = f"half of this machine: --cpu {cpu.cores * rate // 2} --ram {total_mb // 2}; "
    raise UsageError(
        "cannot onboard: --cpu and --ram are needed where nobody can be asked",
        hint=f"{half}to take half: --yes",
    )


def _asked(where: paths.Paths, wish: Wish, seen: Survey) -> Wish:
    """Show the machine, explain, and ask for what the options left out."""
    from nunet_dms.provider.keys import wallet_file  # noqa: PLC0415 - nacl
    from nunet_dms.provider.offer import proposal  # noqa: PLC0415 - as above

    room, offer = seen.room, wish.offer
    now = proposal(room, seen.before.capacity if seen.before else None)
    usual = "now" if seen.before else "half"
    if offer.cpu_mhz is None or offer.ram_mb is None:
        render.progress(f"this machine: {seen.found.cpu.model or 'CPU'}, {room.words}")
        render.progress(f"              {room.ram_mb} MB RAM, {room.disk_free_mb} MB disk free")
        render.progress("what you offer is for jobs alone; the rest stays yours and is never sold")
    if offer.cpu_mhz is None:
        question = _Question("MHz of CPU to offer", usual, now.cpu_mhz, room.total_mhz)
        offer = replace(offer, cpu_mhz=_number(question))
    if offer.ram_mb is None:
        question = _Question("MB of RAM to offer", usual, now.ram_mb, room.ram_mb)
        offer = replace(offer, ram_mb=_number(question))
    wallet = wish.wallet
    if not wallet and seen.before is None and not wallet_file(where).exists():
        wallet = _address(seen.contact.info.network_id if seen.contact.info else None)
    return replace(wish, offer=offer, wallet=wallet)


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked for, what the usual answer is and what it is called, and out of how much."""

    text: str
    usual: str
    usual_number: int
    total: int


def _number(question: _Question) -> int:
    """Ask for a share in whole numbers; an empty answer is the usual one."""
    low, high = share_bounds(question.total)
    words = f"{question.text}, {low} to {high} ({question.usual}: {question.usual_number})"
    for _ in range(TRIES):
        answer = render.ask(words)
        if not answer:
            return question.usual_number
        if not (answer.isascii() and answer.isdigit()):
            render.progress(f"{answer!r:.40} is not a whole number")
        elif low <= (number := int(answer[:12])) <= high:
            return number
        else:
            render.progress(f"{number} is not from {low} to {high}, a tenth to nine tenths")
    raise UsageError("nothing was changed: no number was given that can be offered")


def _address(network_id: int | None) -> str:
    """Ask for an address to be paid at; an empty answer makes a new wallet."""
    from nunet_dms.cardano.address import parse_payee  # noqa: PLC0415 - nacl

    for _ in range(TRIES):
        answer = render.ask("Cardano address to be paid at (empty: make a new wallet)")
        if not answer:
            return ""
        try:
            return parse_payee(answer, network_id).bech32
        except MalformedError as error:
            render.progress(str(error))
    raise UsageError("nothing was changed: no address was given that can be paid at")


def _proven(where: paths.Paths) -> int:
    from nunet_dms.provider.onboarding import prove  # noqa: PLC0415 - docker

    render.progress("proving the container engine with a test container")
    proof = prove(where)
    render.progress(f"it holds jobs to their limits ({len(proof.checks)} checks)")
    return len(proof.checks)


def _start(where: paths.Paths, before: Config | None, after: Config) -> Started:
    """Start the worker; one that runs with other settings is handed over to a new one."""
    if before != after:
        stop_worker(where)
    return start_worker(where)


def _verdict_code(seen: Survey) -> ExitCode:
    """Return how onboarding would end; a test container is not run for a verdict."""
    if seen.refusals:
        return ExitCode.NO_CAPACITY
    return ExitCode.FINE if seen.found.engine.answers else ExitCode.UNREACHABLE


def _judged(decided: Plan, verdict: ExitCode) -> render.Shown:
    """Return the whole verdict of a dry run."""
    seen, settings = decided.survey, decided.settings
    found = seen.found
    facts = Judged(
        would_onboard=verdict is ExitCode.FINE,
        profiles=tuple(map(verdict_facts, seen.verdicts)),
        cpu_mhz=settings.capacity.cpu_mhz,
        ram_mb=settings.capacity.ram_mb,
        disk_mb=settings.capacity.disk_mb,
        core_mhz=settings.capacity.core_mhz,
        total_mhz=seen.room.total_mhz,
        total_ram_mb=seen.room.ram_mb,
        free_disk_mb=seen.room.disk_free_mb,
        platform=found.virtualization.kind.value,
        hypervisor=found.virtualization.hypervisor,
        engine_version=found.engine.version,
        engine_problem=found.engine.problem,
        oracle_url=seen.contact.url,
        oracle_answers=seen.contact.info is not None,
        changes=decided.changes,
    )
    tables = tuple(part for verdict in seen.verdicts for part in verdict_parts(verdict))
    word = "onboarded" if verdict is ExitCode.FINE else "refused"
    engine = found.engine
    why = (f"{engine.problem}; {engine.cure}",) if verdict is ExitCode.UNREACHABLE else ()
    last = f"this machine would be {word}; nothing was written"
    text = (*tables, *why, last, *decided.words)
    return render.Shown("nunet.onboard.verdict/1", asdict(facts), text)


def _facts(where: paths.Paths, decided: Plan, started: Started | None, checks: int) -> Onboarded:
    from nunet_dms.protocol.keys import fingerprint_of  # noqa: PLC0415 - nacl
    from nunet_dms.provider.keys import wallet_file_of  # noqa: PLC0415 - as above
    from nunet_dms.provider.onboarding import cautions  # noqa: PLC0415 - as above

    settings = decided.settings
    key = settings.oracle.ticket_key
    return Onboarded(
        config_file=str(where.config_file),
        cpu_mhz=settings.capacity.cpu_mhz,
        ram_mb=settings.capacity.ram_mb,
        disk_mb=settings.capacity.disk_mb,
        core_mhz=settings.capacity.core_mhz,
        oracle_url=settings.oracle.url,
        oracle_fingerprint=fingerprint_of(key) if key else "",
        wallet=settings.wallet.address,
        wallet_file=wallet_file_of(where, settings.wallet.address),
        worker_pid=started.pid if started else None,
        warnings=cautions(decided.survey.verdicts),
        oracle_answers=decided.survey.contact.info is not None,
        engine_checks=checks,
    )


def _lines(facts: Onboarded, started: Started | None) -> tuple[str, ...]:
    lines = [
        f"onboarded: {facts.cpu_mhz} MHz, {facts.ram_mb} MB RAM, {facts.disk_mb} MB disk;"
        f" settings in {facts.config_file}",
        f"paid to {facts.wallet}",
    ]
    if facts.wallet_file:
        lines.append(f"its key is {facts.wallet_file}: back it up, whoever has it has the tokens")
    lines += started_lines(started) if started else ("to start: nunet worker start",)
    return tuple(lines)
