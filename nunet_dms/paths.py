"""Where things live, in each scope (DESIGN section 7)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from nunet_dms.errors import UsageError

HOME_VARIABLE = "NUNET_HOME"
"""A folder that holds everything: for tests, demos, and several workers on one machine."""
SCOPE_VARIABLE = "NUNET_SCOPE"
"""`system` or `user`; what `--system` and `--user` hand on to the worker's process."""

APP_NAME = "nunet-dms"


class Scope(str, Enum):
    """Whose machine it is: everybody's, under root, or one user's."""

    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True, slots=True)
class Paths:
    """The three folders of one scope, and what lies in them."""

    config_dir: Path
    state_dir: Path
    runtime_dir: Path

    @property
    def config_file(self) -> Path:
        """The provider's settings, with comments."""
        return self.config_dir / "config.toml"

    @property
    def journal(self) -> Path:
        """The worker's memory: SQLite, one writer."""
        return self.state_dir / "journal.db"

    @property
    def keys_dir(self) -> Path:
        """The node's own keys; mode 0700."""
        return self.state_dir / "keys"

    @property
    def identity_key(self) -> Path:
        """The key with which the node signs what it says."""
        return self.keys_dir / "identity.key"

    @property
    def settlement_key(self) -> Path:
        """The key with which the node co-signs settlements; it holds no funds."""
        return self.keys_dir / "settlement.skey"

    @property
    def wallets_dir(self) -> Path:
        """Wallets: encrypted, or plain keys in cardano-cli's text envelope."""
        return self.state_dir / "wallets"

    @property
    def jobs_dir(self) -> Path:
        """One folder for each job: inputs, outputs, log."""
        return self.state_dir / "jobs"

    @property
    def lock_file(self) -> Path:
        """Locked (flock) for the worker's whole life; holds its pid."""
        return self.runtime_dir / "worker.lock"

    @property
    def worker_log(self) -> Path:
        """What a detached worker writes."""
        return self.state_dir / "worker.log"

    @property
    def cancel_dir(self) -> Path:
        """An empty file named after a job asks the worker to stop that job."""
        return self.state_dir / "cancel"

    @property
    def pause_file(self) -> Path:
        """While it is there, the owner wants no new jobs taken."""
        return self.state_dir / "pause.json"

    @property
    def speed_file(self) -> Path:
        """How fast the line to the Oracle was when it was last measured."""
        return self.state_dir / "speed.json"

    @property
    def oracle_dir(self) -> Path:
        """Where `nunet oracle init` puts an Oracle unless told otherwise."""
        return self.state_dir / "oracle"

    @property
    def receipts_dir(self) -> Path:
        """Receipts of settled jobs."""
        return self.state_dir / "receipts"


def resolve(scope: Scope | None = None, environ: Mapping[str, str] = os.environ) -> Paths:
    """Return the paths of a scope; `NUNET_HOME` puts everything below one folder instead.

    Without a scope, `NUNET_SCOPE` decides, then who we are: root means system. Raises UsageError
    for an unknown scope. XDG variables are read from the process's environment (XDG Base
    Directory Specification 0.8).
    """
    if home := environ.get(HOME_VARIABLE):
        folder = Path(home).expanduser().absolute()
        return Paths(folder, folder / "state", folder / "run")
    if (scope or _scope(environ)) is Scope.SYSTEM:
        return Paths(Path("/etc", APP_NAME), Path("/var/lib", APP_NAME), Path("/run", APP_NAME))
    import platformdirs  # noqa: PLC0415 - 15 ms that root and NUNET_HOME do not need

    state = Path(platformdirs.user_state_dir(APP_NAME, appauthor=False))
    # Not $XDG_RUNTIME_DIR: cron has none, so that it would look for the lock in another place
    # than the terminal did; and it is emptied at logout, while a detached worker lives on.
    return Paths(
        Path(platformdirs.user_config_dir(APP_NAME, appauthor=False)), state, state / "run"
    )


def _scope(environ: Mapping[str, str]) -> Scope:
    if not (name := environ.get(SCOPE_VARIABLE, "")):
        return Scope.SYSTEM if os.geteuid() == 0 else Scope.USER
    try:
        return Scope(name)
    except ValueError:
        raise UsageError(
            f"cannot use {SCOPE_VARIABLE}={name!r:.40}: it must be system or user"
        ) from None
