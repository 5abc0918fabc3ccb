"""`nunet onboard`: offer a share of this machine, and start working."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from nunet_dms import config, paths
from nunet_dms.cli import render
from nunet_dms.cli.worker import Started, start_worker, started_lines, stop_worker
from nunet_dms.config import CapacityConfig, Config, OracleConfig, PriceConfig, WalletConfig
from nunet_dms.errors import NotOnboardedError, UnreachableError, UsageError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.memory import read_memory

if TYPE_CHECKING:
    from nunet_dms.cardano.keys import PaymentKey

SHARE_MIN_PERCENT, SHARE_MAX_PERCENT = 10, 90
"""Of the machine's CPU and of its RAM, both bounds included; the owner keeps the rest."""
ORACLE_VARIABLE = "NUNET_ORACLE"
PROVIDER_WALLET = "provider"
FIRST_CONTACT_TIMEOUT_S = 3
TEST_NETWORK_ID = 0

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class Contact:
    """What the Oracle said of itself, or why it could not be asked."""

    ticket_key: str = ""
    fingerprint: str = ""
    network_id: int = TEST_NETWORK_ID
    warning: str = ""
    problem: str = ""


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


@app.command()
def onboard(
    cpu: int = typer.Option(..., help="CPU to offer, in MHz: cores times their rate."),
    ram: int = typer.Option(..., help="RAM to offer, in MB."),
    disk: int = typer.Option(config.DEFAULT_DISK_MB, help="Disk for jobs, in MB."),
    oracle: str = typer.Option("", help="The Oracle's URL; else $NUNET_ORACLE, else loopback."),
    oracle_key: str = typer.Option("", help="The Oracle's ticket key, 64 hex digits, to pin."),
    wallet: str = typer.Option("", help="Cardano address to be paid at; else one is made."),
    core_mhz: int = typer.Option(0, help="MHz of one core, where the kernel does not tell."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    no_start: bool = typer.Option(False, "--no-start", help="Write the settings only."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Offer a share of this machine, and start working.

    Example: nunet onboard --cpu 4000 --ram 2000
    """
    where = paths.resolve()
    before = _before(where)
    capacity = checked_capacity(cpu, ram, disk, core_mhz, where)
    url = oracle or os.environ.get(ORACLE_VARIABLE, "") or _url_of(before)
    contact = _ask_oracle(url)
    address, new_wallet = _wallet(wallet, before, where, contact.network_id)
    same_oracle = before is not None and before.oracle.url == url
    key = oracle_key or (before.oracle.ticket_key if before and same_oracle else "")
    settings = Config(
        oracle=OracleConfig(url=url, ticket_key=key or contact.ticket_key),
        wallet=WalletConfig(address=address),
        capacity=capacity,
        price=before.price if before else PriceConfig(),
    )
    for line in (*_changes(before, settings), *_words_on(contact, url, key)):
        render.progress(line)
    if render.can_ask() and not yes and not render.confirm("Write this and start?"):
        raise UsageError("nothing was changed", hint="to skip the question: --yes")
    _make_keys(where, new_wallet)
    config.save(where.config_file, settings)
    started = None if no_start else _start(where, before, settings)
    facts = _facts(where, settings, contact, started)
    render.show(render.Shown("nunet.onboard/1", facts, _lines(facts, started)), as_json)


def checked_capacity(
    cpu_mhz: int, ram_mb: int, disk_mb: int, core_mhz: int, where: paths.Paths
) -> CapacityConfig:
    """Hold what is offered against the machine; raises UsageError naming both bounds."""
    found = read_cpu()
    rate = core_mhz or found.core_mhz
    if rate is None or rate <= 0:
        raise UsageError(
            "cannot tell how fast a core of this machine is: the kernel does not say",
            hint="give it yourself: --core-mhz 2400",
        )
    _check_share("--cpu", cpu_mhz, found.cores * rate, f"MHz ({found.cores} cores of {rate} MHz)")
    _check_share("--ram", ram_mb, read_memory().total_mb, "MB of RAM")
    free_mb = read_disk(where.jobs_dir).free_mb
    if not 0 < disk_mb <= free_mb * SHARE_MAX_PERCENT // 100:
        raise UsageError(
            f"cannot offer --disk {disk_mb}: it must be from 1 to"
            f" {free_mb * SHARE_MAX_PERCENT // 100} MB, {SHARE_MAX_PERCENT} % of what is free"
            f" where {where.jobs_dir} lies"
        )
    return CapacityConfig(cpu_mhz=cpu_mhz, ram_mb=ram_mb, disk_mb=disk_mb, core_mhz=rate)


def _check_share(option: str, offered: int, total: int, of: str) -> None:
    low = -(-total * SHARE_MIN_PERCENT // 100)
    high = total * SHARE_MAX_PERCENT // 100
    if not low <= offered <= high:
        raise UsageError(
            f"cannot offer {option} {offered}: it must be from {low} to {high}, which is"
            f" {SHARE_MIN_PERCENT} % to {SHARE_MAX_PERCENT} % of this machine's {total} {of}"
        )


def _before(where: paths.Paths) -> Config | None:
    try:
        return config.load(where.config_file)
    except NotOnboardedError:
        return None


def _url_of(before: Config | None) -> str:
    return before.oracle.url if before else config.DEFAULT_ORACLE_URL


def _ask_oracle(url: str) -> Contact:
    """Ask the Oracle who it is, briefly; it need not be up for a machine to be onboarded."""
    from nunet_dms.oracle_http import OracleHttp  # noqa: PLC0415 - requests, for this command only
    from nunet_dms.protocol.api import OracleInfo  # noqa: PLC0415 - as above
    from nunet_dms.protocol.keys import fingerprint_of  # noqa: PLC0415 - as above

    try:
        with OracleHttp(url) as http:
            info = http.call(
                "GET",
                "/v1/oracle",
                None,
                OracleInfo,
                timeout_s=FIRST_CONTACT_TIMEOUT_S,
                public=True,
            )
    except UnreachableError as error:
        return Contact(problem=str(error))
    return Contact(info.ticket_key, fingerprint_of(info.ticket_key), info.network_id, info.warning)


def _words_on(contact: Contact, url: str, given_key: str) -> tuple[str, ...]:
    if contact.problem:
        how = "by --oracle-key" if given_key else "at first contact"
        return (f"the Oracle at {url} does not answer yet; its key is pinned {how}",)
    lines = [f"the Oracle at {url} has the key {contact.fingerprint}: pinned"]
    if given_key and given_key != contact.ticket_key:
        lines = [f"the Oracle at {url} has the key {contact.fingerprint}, NOT the one pinned"]
    return (*lines, *([contact.warning] if contact.warning else []))


def _wallet(
    given: str, before: Config | None, where: paths.Paths, network_id: int
) -> tuple[str, PaymentKey | None]:
    """Return the address to be paid at, and the key of a wallet that is yet to be written."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - nacl, here only
    from nunet_dms.cardano.keys import PaymentKey, read_key_file  # noqa: PLC0415 - as above

    if given:
        address = parse_address(given)
        if address.network_id != network_id:
            raise UsageError(f"cannot use {given}: it is an address of another Cardano network")
        return address.bech32, None
    if before:
        return before.wallet.address, None
    path = _wallet_file(where)
    if path.exists():
        return read_key_file(path).address(network_id).bech32, None
    key = PaymentKey.generate()
    return key.address(network_id).bech32, key


def _wallet_file(where: paths.Paths) -> Path:
    return where.wallets_dir / f"{PROVIDER_WALLET}.skey"


def _changes(before: Config | None, after: Config) -> tuple[str, ...]:
    """Say what will be written: all of it the first time, later what is new."""
    lines = []
    for section in fields(Config):
        old, new = getattr(before, section.name, None), getattr(after, section.name)
        for key in fields(new):
            was, now = getattr(old, key.name, None), getattr(new, key.name)
            if was != now:
                was_text = "" if before is None else f" (was {was})"
                lines.append(f"{section.name}.{key.name} = {now}{was_text}")
    return tuple(lines) or ("nothing changes",)


def _make_keys(where: paths.Paths, new_wallet: PaymentKey | None) -> None:
    """Write the keys that are not there yet; onboarding again keeps them."""
    from nunet_dms.cardano.keys import PaymentKey, write_key_file  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.keys import SigningKey, write_signing_key  # noqa: PLC0415 - as above

    if new_wallet is not None:
        write_key_file(_wallet_file(where), new_wallet)
    if not where.identity_key.exists():
        write_signing_key(where.identity_key, SigningKey.generate())
    if not where.settlement_key.exists():
        write_key_file(where.settlement_key, PaymentKey.generate())


def _start(where: paths.Paths, before: Config | None, after: Config) -> Started:
    """Start the worker; one that runs with other settings is handed over to a new one."""
    if before is not None and before != after:
        stop_worker(where)
    return start_worker(where)


def _facts(
    where: paths.Paths, settings: Config, contact: Contact, started: Started | None
) -> Onboarded:
    wallet_file = _wallet_file(where)
    return Onboarded(
        config_file=str(where.config_file),
        cpu_mhz=settings.capacity.cpu_mhz,
        ram_mb=settings.capacity.ram_mb,
        disk_mb=settings.capacity.disk_mb,
        core_mhz=settings.capacity.core_mhz,
        oracle_url=settings.oracle.url,
        oracle_fingerprint=contact.fingerprint,
        wallet=settings.wallet.address,
        wallet_file=str(wallet_file) if wallet_file.exists() else "",
        worker_pid=started.pid if started else None,
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
