"""What a change of settings must keep to, beyond the bounds of each key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nunet_dms import config
from nunet_dms.cardano.address import parse_payee
from nunet_dms.config import Config
from nunet_dms.config_file import Value
from nunet_dms.config_keys import KEYS, Key, with_values
from nunet_dms.errors import MalformedError, UsageError
from nunet_dms.machine.cpu import read_cpu
from nunet_dms.machine.memory import read_memory
from nunet_dms.machine.share import check_share
from nunet_dms.node.oracle_pin import pinned_network_id

ORACLE_URL, TICKET_KEY = KEYS["oracle.url"], KEYS["oracle.ticket_key"]
WALLET = KEYS["wallet.address"]
CPU, RAM, CORE = (KEYS[f"capacity.{name}"] for name in ("cpu_mhz", "ram_mb", "core_mhz"))


def changed(before: Config, values: Mapping[Key, Value], journal: Path) -> Config:
    """Return the settings with these values; `journal` is as in `check_change`.

    Another Oracle has another ticket key: the one that is pinned goes with its URL, unless a key
    is among the values. Raises UsageError as `check_change` does.
    """
    after = with_values(before, values)
    if after.oracle.url != before.oracle.url and TICKET_KEY not in values:
        after = with_values(after, {TICKET_KEY: ""})
    check_change(before, after, journal)
    return after


def check_change(before: Config | None, after: Config, journal: Path) -> None:
    """Raise UsageError unless these settings may follow those.

    The journal tells which Oracle is pinned: rewards are paid on its network. What stays as it is,
    is not held against the machine again: it was when it was first offered.
    """
    if _differs(before, after, WALLET):
        check_wallet(after, journal)  # first: it has better words than the bound of the key
    config.check(after)
    problems = []
    for keys, rule in _RULES:
        if _differs(before, after, *keys):
            try:
                rule(after)
            except UsageError as error:
                problems.append(str(error))
    if problems:
        raise UsageError("; ".join(problems))


def check_wallet(settings: Config, journal: Path) -> None:
    """Raise UsageError unless rewards can be paid: to a wallet on the Oracle's network."""
    try:
        parse_payee(settings.wallet.address, pinned_network_id(journal, settings.oracle))
    except MalformedError as error:
        raise UsageError(str(error)) from error


def check_oracle_url(settings: Config) -> None:
    """Raise UsageError unless a worker would talk to this Oracle: https, or http to itself."""
    from nunet_dms.oracle_http import OracleHttp  # noqa: PLC0415 - requests, for this key only

    OracleHttp(settings.oracle.url).close()


def _differs(before: Config | None, after: Config, *keys: Key) -> bool:
    return before is None or any(key.value_in(before) != key.value_in(after) for key in keys)


def _check_cpu(settings: Config) -> None:
    cores, rate = read_cpu().cores, settings.capacity.core_mhz
    of = f"MHz ({cores} cores of {rate} MHz)"
    check_share(str(CPU), settings.capacity.cpu_mhz, cores * rate, of)


def _check_ram(settings: Config) -> None:
    total_mb = read_memory().total_mb
    if total_mb is None:
        raise UsageError(f"cannot check {RAM}: the kernel does not say how much this machine has")
    check_share(str(RAM), settings.capacity.ram_mb, total_mb, "MB of RAM")


_RULES = (((ORACLE_URL,), check_oracle_url), ((CPU, CORE), _check_cpu), ((RAM,), _check_ram))
"""Each with the keys that it is about."""
