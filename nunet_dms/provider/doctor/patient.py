"""Everything that the doctor looks at, looked at once: the checks then only think."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nunet_dms import config
from nunet_dms.config import Config
from nunet_dms.errors import ConfigError, ExitCode, NotOnboardedError, NunetError
from nunet_dms.machine.disk import DiskFacts, read_disk
from nunet_dms.machine.fingerprint import Fingerprint, take_fingerprint
from nunet_dms.machine.kernelfile import is_there
from nunet_dms.node.proof import prove_engine
from nunet_dms.node.proof_values import ProofCheck
from nunet_dms.node.speed_file import read_speed
from nunet_dms.paths import Paths, Scope, resolve
from nunet_dms.provider.doctor.clock import ClockFacts, read_clock
from nunet_dms.provider.doctor.files import OwnFiles, read_own_files
from nunet_dms.provider.doctor.old_dms import OldDmsFacts, read_old_dms
from nunet_dms.provider.doctor.user import UserFacts, read_user
from nunet_dms.provider.doctor.worker_word import WorkerWord, read_worker_word
from nunet_dms.provider.first_contact import Contact, ask_oracle


@dataclass(frozen=True, slots=True)
class SettingsFacts:
    """The settings; None where there are none, or none that can be used: `problem` says why."""

    settings: Config | None = None
    problem: str = ""
    cure: str = ""

    @property
    def are_written(self) -> bool:
        """Whether there is a settings file: this machine was onboarded, well or badly."""
        return self.settings is not None or bool(self.problem)


@dataclass(frozen=True, slots=True)
class ProofFacts:
    """What the test container showed, or why there was none; `exit_code` is the problem's."""

    checks: tuple[ProofCheck, ...] = ()
    problem: str = ""
    cure: str = ""
    exit_code: ExitCode = ExitCode.FINE


@dataclass(frozen=True, slots=True, kw_only=True)
class Patient:
    """One machine at one time (Unix seconds)."""

    now_s: int
    where: Paths
    found: Fingerprint
    user: UserFacts
    clock: ClockFacts
    images_disk: DiskFacts
    """Where the engine keeps images; None in it where that is not on this machine."""
    old_dms: OldDmsFacts
    files: OwnFiles
    config: SettingsFacts
    is_other_scope_onboarded: bool
    """Whether the system's scope is onboarded, while another one was asked about."""
    oracle: Contact | None
    """None while the settings cannot be read: nobody knows which Oracle it is."""
    worker: WorkerWord
    proof: ProofFacts | None
    """None if no test container was wanted."""


def examine(
    where: Paths, oracle_url: str = "", *, proves: bool = False, root: Path = Path("/")
) -> Patient:
    """Look at everything, within bounds of time, changing nothing; raises nothing.

    `oracle_url` is asked while the settings name none. `proves` runs a test container, which
    takes seconds. Kernel and system files are read below `root`.
    """
    now_s = int(time.time())
    found = take_fingerprint(where.jobs_dir, now_s, read_speed(where.speed_file), root)
    settings = _read_settings(where)
    return Patient(
        now_s=now_s,
        where=where,
        found=found,
        user=read_user(os.geteuid(), root),
        clock=read_clock(),
        images_disk=_images_disk(found.engine.root_dir),
        old_dms=read_old_dms(root),
        files=read_own_files(where),
        config=settings,
        is_other_scope_onboarded=_is_other_scope_onboarded(where, root),
        oracle=_ask_oracle(settings, oracle_url),
        worker=read_worker_word(where),
        proof=_prove(where) if proves and found.engine.answers else None,
    )


def _read_settings(where: Paths) -> SettingsFacts:
    try:
        return SettingsFacts(config.load(where.config_file))
    except NotOnboardedError:
        return SettingsFacts()
    except ConfigError as error:
        return SettingsFacts(None, str(error), error.hint)


def _is_other_scope_onboarded(where: Paths, root: Path) -> bool:
    system = resolve(Scope.SYSTEM, {})
    return system != where and is_there(root / system.config_file.relative_to("/"))


def _ask_oracle(settings: SettingsFacts, url: str) -> Contact | None:
    if settings.problem:
        return None
    known = settings.settings.oracle.url if settings.settings else url
    known = known or config.DEFAULT_ORACLE_URL
    try:
        return ask_oracle(known)
    except NunetError as error:  # no URL, or one at which something else answers
        return Contact(known, problem=str(error))


def _images_disk(root_dir: str) -> DiskFacts:
    """Return the space for images; an engine in another machine names a folder that is not here."""
    if root_dir and is_there(Path(root_dir)):
        return read_disk(Path(root_dir))
    return DiskFacts(None, None)


def _prove(where: Paths) -> ProofFacts:
    """Run the test container below the state folder; one that is made for it goes again."""
    is_new = not is_there(where.state_dir)
    try:
        where.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return ProofFacts(prove_engine(where.state_dir).checks)
    except NunetError as error:
        return ProofFacts((), str(error), error.hint, error.exit_code)
    except OSError as error:
        problem = f"cannot make a folder for the test container: {error}"
        return ProofFacts((), problem, "", ExitCode.USAGE)
    finally:
        if is_new:
            with suppress(OSError):  # a worker that started meanwhile lives in it
                where.state_dir.rmdir()
