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
from nunet_dms.errors import (
    MalformedError,
    NotOnboardedError,
    UnreachableError,
    UsageError,
    VerificationError,
)
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.disk import read_disk
from nunet_dms.machine.memory import read_memory
from nunet_dms.provider.share import SHARE_MAX_PERCENT, check_share

if TYPE_CHECKING:
    from nunet_dms.cardano.keys import PaymentKey
    from nunet_dms.protocol.api import OracleInfo

ORACLE_VARIABLE = "NUNET_ORACLE"
PROVIDER_WALLET = "provider"
FIRST_CONTACT_TIMEOUT_S = 3
DISK_DEFAULT_PERCENT = 50
"""Of the free disk: where that is less than the usual default, it is the default."""
TEST_NETWORK_ID = 0
"""Of a new wallet whose Oracle cannot be asked: a test network's, where nothing can be lost."""

app = typer.Typer()


@dataclass(frozen=True, slots=True)
class NewWallet:
    """A wallet that is made, but not yet written."""

    key: PaymentKey
    address: str


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
    disk: int | None = typer.Option(None, help="Disk for jobs, in MB."),
    oracle: str = typer.Option("", help="The Oracle's URL; else $NUNET_ORACLE, else loopback."),
    oracle_key: str = typer.Option("", help="The Oracle's ticket key, 64 hex digits, to pin."),
    wallet: str = typer.Option("", help="Cardano address to be paid at; else one is made."),
    core_mhz: int | None = typer.Option(None, help="MHz of one core, if the kernel is wrong."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    no_start: bool = typer.Option(False, "--no-start", help="Write the settings only."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Offer a share of this machine, and start working.

    Example: nunet onboard --cpu 4000 --ram 2000
    """
    where = paths.resolve()
    before = _before(where)
    capacity = checked_capacity(Wanted(cpu, ram, disk, core_mhz), before, where)
    url = oracle or os.environ.get(ORACLE_VARIABLE, "") or _url_of(before)
    info, problem = _ask_oracle(url)
    key = _ticket_key(url, oracle_key, before, info)
    may_ask = render.can_ask() and not yes
    if may_ask and not wallet and before is None and not _wallet_file(where).exists():
        wallet = render.ask("Cardano address to be paid at (empty: make a new wallet)")
    address, new_wallet = _wallet(wallet, before, where, info)
    settings = Config(
        oracle=OracleConfig(url=url, ticket_key=key),
        wallet=WalletConfig(address=address),
        capacity=capacity,
        price=before.price if before else _first_price(info),
    )
    config.check(settings)
    for line in (*_changes(before, settings), *_words_on(settings.oracle, info, problem)):
        render.progress(line)
    if may_ask and not render.confirm("Write this" + ("?" if no_start else " and start?")):
        raise UsageError("nothing was changed", hint="to skip the question: --yes")
    _make_keys(where, new_wallet)
    config.save(where.config_file, settings)
    started = None if no_start else _start(where, before, settings)
    facts = _facts(where, settings, started)
    render.show(render.Shown("nunet.onboard/1", facts, _lines(facts, started)), as_json)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the options say; None where they say nothing."""

    cpu_mhz: int
    ram_mb: int
    disk_mb: int | None
    core_mhz: int | None


def checked_capacity(wanted: Wanted, before: Config | None, where: paths.Paths) -> CapacityConfig:
    """Hold what is offered against the machine; raises UsageError naming both bounds.

    The rate of a core is measured once and then kept, so that a clock that goes up and down does
    not change what was offered.
    """
    found = read_cpu()
    kept = before.capacity if before else None
    rate = wanted.core_mhz or (kept.core_mhz if kept else found.core_mhz)
    if rate is None:
        raise UsageError(
            "cannot tell how fast a core of this machine is: the kernel does not say",
            hint="give it yourself: --core-mhz 2400",
        )
    if rate < 1:
        raise UsageError(f"cannot use --core-mhz {rate}: it must be at least 1")
    of_cpu = f"MHz ({found.cores} cores of {rate} MHz)"
    check_share("--cpu", wanted.cpu_mhz, found.cores * rate, of_cpu)
    total_mb, free_mb = read_memory().total_mb, read_disk(where.jobs_dir).free_mb
    if total_mb is None or free_mb is None:
        missing = "memory" if total_mb is None else "free disk"
        raise UsageError(f"cannot tell how much {missing} this machine has: the kernel is silent")
    check_share("--ram", wanted.ram_mb, total_mb, "MB of RAM")
    usual_mb = min(config.DEFAULT_DISK_MB, free_mb * DISK_DEFAULT_PERCENT // 100)
    disk_mb = wanted.disk_mb or (kept.disk_mb if kept else usual_mb)
    most_mb = free_mb * SHARE_MAX_PERCENT // 100
    # What is kept was checked when it was first offered: the jobs of now may use part of it.
    if wanted.disk_mb is not None and not 1 <= wanted.disk_mb <= most_mb:
        raise UsageError(
            f"cannot offer --disk {wanted.disk_mb}: it must be from 1 to {most_mb} MB,"
            f" {SHARE_MAX_PERCENT} % of what is free where {where.jobs_dir} lies"
        )
    return CapacityConfig(
        cpu_mhz=wanted.cpu_mhz, ram_mb=wanted.ram_mb, disk_mb=max(1, disk_mb), core_mhz=rate
    )


def _before(where: paths.Paths) -> Config | None:
    try:
        return config.load(where.config_file)
    except NotOnboardedError:
        return None


def _url_of(before: Config | None) -> str:
    return before.oracle.url if before else config.DEFAULT_ORACLE_URL


def _ask_oracle(url: str) -> tuple[OracleInfo | None, str]:
    """Ask the Oracle who it is, briefly; else say why it is silent: it need not be up yet."""
    from nunet_dms.oracle_http import OracleHttp  # noqa: PLC0415 - requests, for this command only
    from nunet_dms.protocol.api import OracleInfo  # noqa: PLC0415 - as above

    try:
        with OracleHttp(url) as http:
            return http.call(
                "GET",
                "/v1/oracle",
                None,
                OracleInfo,
                timeout_s=FIRST_CONTACT_TIMEOUT_S,
                public=True,
            ), ""
    except UnreachableError as error:
        return None, str(error)


def _ticket_key(url: str, given: str, before: Config | None, info: OracleInfo | None) -> str:
    """Return the key to pin: as given, as pinned, as shown; raises VerificationError on a clash."""
    kept = before.oracle.ticket_key if before and before.oracle.url == url else ""
    pinned = given.lower() or kept
    if info is None or pinned in {"", info.ticket_key}:
        return pinned or (info.ticket_key if info else "")
    if given and not config.is_ticket_key(pinned):
        return pinned  # nonsense; the check of the settings has the words for it
    raise VerificationError(
        "oracle_changed",
        f"cannot trust the Oracle at {url}: its key is {_fingerprint(info.ticket_key)},"
        f" {'--oracle-key' if given else 'pinned'} is {_fingerprint(pinned)}",
        hint="ask its operator; to trust the new key: --oracle-key KEY",
    )


def _fingerprint(key: str) -> str:
    from nunet_dms.protocol.keys import fingerprint_of  # noqa: PLC0415 - nacl

    return fingerprint_of(key)


def _words_on(oracle: OracleConfig, info: OracleInfo | None, problem: str) -> tuple[str, ...]:
    """Say which Oracle it is and by which key it is known."""
    if info is not None:
        pinned = f"the Oracle at {oracle.url} has the key {_fingerprint(info.ticket_key)}: pinned"
        return (pinned, info.warning) if info.warning else (pinned,)
    if oracle.ticket_key:
        known = f"pinned is the key {_fingerprint(oracle.ticket_key)}"
    else:
        known = "its key will be pinned at first contact"
    return (f"no word from the Oracle yet, {known} ({problem})",)


def _first_price(info: OracleInfo | None) -> PriceConfig:
    """Return one token for a GHz-hour and a quarter for a GB-hour, in the token's base units."""
    if info is None:
        return PriceConfig()
    unit = 10**info.token_decimals
    return PriceConfig(
        per_ghz_hour=min(unit, config.PRICE_MAX),
        per_ram_gb_hour=max(1, min(unit, config.PRICE_MAX) // 4),
    )


def _wallet(
    given: str, before: Config | None, where: paths.Paths, info: OracleInfo | None
) -> tuple[str, NewWallet | None]:
    """Return the address to be paid at, and the wallet that is yet to be written for it."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - nacl, here only
    from nunet_dms.cardano.keys import PaymentKey, read_key_file  # noqa: PLC0415 - as above

    if given or before:
        try:
            address = parse_address(given or (before.wallet.address if before else ""))
        except MalformedError as error:
            raise UsageError(str(error), hint="give another: --wallet ADDR") from error
        if info is not None and address.network_id != info.network_id:
            raise UsageError(
                f"cannot use {address.bech32}: it is an address of another Cardano network than"
                f" the Oracle's ({info.network})",
                hint="give one of that network: --wallet ADDR",
            )
        return address.bech32, None
    network_id = TEST_NETWORK_ID if info is None else info.network_id
    path = _wallet_file(where)
    if path.exists():
        return read_key_file(path).address(network_id).bech32, None
    key = PaymentKey.generate()
    made = NewWallet(key, key.address(network_id).bech32)
    return made.address, made


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


def _make_keys(where: paths.Paths, new_wallet: NewWallet | None) -> None:
    """Write the keys that are not there yet; onboarding again keeps them."""
    from nunet_dms.cardano.keys import PaymentKey, write_key_file  # noqa: PLC0415 - nacl
    from nunet_dms.protocol.keys import SigningKey, write_signing_key  # noqa: PLC0415 - as above

    where.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    if new_wallet is not None:
        write_key_file(_wallet_file(where), new_wallet.key)
    if not where.identity_key.exists():
        write_signing_key(where.identity_key, SigningKey.generate())
    if not where.settlement_key.exists():
        write_key_file(where.settlement_key, PaymentKey.generate())


def _start(where: paths.Paths, before: Config | None, after: Config) -> Started:
    """Start the worker; one that runs with other settings is handed over to a new one."""
    if before != after:
        stop_worker(where)
    return start_worker(where)


def _facts(where: paths.Paths, settings: Config, started: Started | None) -> Onboarded:
    key = settings.oracle.ticket_key
    return Onboarded(
        config_file=str(where.config_file),
        cpu_mhz=settings.capacity.cpu_mhz,
        ram_mb=settings.capacity.ram_mb,
        disk_mb=settings.capacity.disk_mb,
        core_mhz=settings.capacity.core_mhz,
        oracle_url=settings.oracle.url,
        oracle_fingerprint=_fingerprint(key) if key else "",
        wallet=settings.wallet.address,
        wallet_file=_own_wallet_file(where, settings.wallet.address),
        worker_pid=started.pid if started else None,
    )


def _own_wallet_file(where: paths.Paths, address: str) -> str:
    """Return the file whose key is paid at `address`; empty if the key lies elsewhere."""
    from nunet_dms.cardano.address import parse_address  # noqa: PLC0415 - nacl
    from nunet_dms.cardano.keys import read_key_file  # noqa: PLC0415 - as above

    path = _wallet_file(where)
    is_ours = path.exists() and read_key_file(path).key_hash == parse_address(address).payment_hash
    return str(path) if is_ours else ""


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
