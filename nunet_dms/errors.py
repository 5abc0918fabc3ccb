"""Every error that nunet-dms raises on purpose, and the exit code each one owns.

    NunetError                       1  unexpected
    |-- UsageError                   2  a wrong argument
    |   `-- ConfigError              2  a wrong config file
    |-- NotOnboardedError            3
    |-- WorkerNotRunningError        4
    |-- DegradedError                5  running, but not whole; the reason is given
    |-- UnreachableError             6
    |   |-- OracleUnreachableError   6  may work later: retry
    |   `-- EngineUnreachableError   6  Docker does not answer
    |-- VerificationError            7  something signed, paid or hashed does not hold
    |   |-- MalformedError           7  bytes or JSON that break their format
    |   `-- RefusedError             7  the Oracle said no; do not retry
    |-- CapacityError                8  requested and available are both named
    |-- AlreadyRunningError          9  another worker holds the lock (node/lock.py)
    `-- InvalidTransitionError       1  our bug, caught only at the top of a job

Messages read "cannot X: why", then what to do. A job's failure is data and never an error here.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts may rely on; the same in every command."""

    FINE = 0
    UNEXPECTED = 1
    USAGE = 2
    NOT_ONBOARDED = 3
    WORKER_NOT_RUNNING = 4
    DEGRADED = 5
    UNREACHABLE = 6
    REFUSED = 7
    NO_CAPACITY = 8
    ALREADY_RUNNING = 9


class NunetError(Exception):
    """Something went wrong that nunet-dms has no better word for."""

    exit_code: ExitCode = ExitCode.UNEXPECTED

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").split("\n")[0])
        self.hint = hint
        """What the user may type or change next; may be empty."""


class UsageError(NunetError):
    """The command was called with an argument that makes no sense."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A config file has a wrong value; the message names file, section and key."""


class NotOnboardedError(NunetError):
    """This machine is not onboarded."""

    exit_code = ExitCode.NOT_ONBOARDED


class WorkerNotRunningError(NunetError):
    """The worker is not running."""

    exit_code = ExitCode.WORKER_NOT_RUNNING


class DegradedError(NunetError):
    """The worker runs, but something it needs is missing."""

    exit_code = ExitCode.DEGRADED


class UnreachableError(NunetError):
    """Something that this command needs does not answer."""

    exit_code = ExitCode.UNREACHABLE


class OracleUnreachableError(UnreachableError):
    """The Oracle does not answer; it may later."""


class EngineUnreachableError(UnreachableError):
    """The container engine does not answer; what it runs is unknown, not failed."""


class VerificationError(NunetError):
    """Something signed, paid or hashed does not hold; `code` is the machine-readable reason."""

    exit_code = ExitCode.REFUSED

    def __init__(self, code: str, message: str = "", *, where: str = "", hint: str = "") -> None:
        super().__init__(message or code, hint=hint)
        self.code = code
        self.where = where
        """Path of the offending part, such as `$.resources.cpu_mhz`; may be empty."""


class MalformedError(VerificationError):
    """Bytes, CBOR or JSON that break their format."""

    def __init__(self, message: str, *, where: str = "", code: str = "malformed") -> None:
        super().__init__(code, message, where=where)


class RefusedError(VerificationError):
    """The Oracle understood and said no; asking again will not help."""


class CapacityError(NunetError):
    """More was requested than is available; the message names both."""

    exit_code = ExitCode.NO_CAPACITY


class InvalidTransitionError(NunetError):
    """A state machine was asked for a move that its table does not have."""
