"""The Oracle: that it answers, that it is the one we know, and that our clocks agree."""

from __future__ import annotations

from nunet_dms.errors import ExitCode
from nunet_dms.machine.virtualization import Kind
from nunet_dms.node.admission import CLOCK_SKEW_S
from nunet_dms.protocol.keys import fingerprint_of
from nunet_dms.provider.doctor.check import ERROR, NOTE, WARNING, Check, oracle_answers
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient
from nunet_dms.provider.first_contact import Contact

CLOCK_WARN_S = CLOCK_SKEW_S // 2
"""From here on it is told; beyond CLOCK_SKEW_S a node takes a fresh ticket for one from the future,
or an old one for a fresh one."""
HOST_KEEPS_TIME = frozenset({Kind.VM, Kind.WSL1, Kind.WSL2, Kind.CONTAINER})


def _answers(patient: Patient) -> Answer:
    word = patient.oracle or Contact("")
    if word.info is not None:
        return fine(f"the Oracle at {word.url} answers ({word.info.network})")
    if patient.config.settings is None:
        return note(
            f"no Oracle answers yet: {word.problem}",
            "jobs come from an Oracle; it need not be up while a machine is onboarded",
            "nunet onboard --oracle URL; for one of your own: nunet oracle serve",
        )
    return error(
        word.problem,
        "jobs come from the Oracle, and it pays for them",
        "see that this machine is online and that the URL is right: nunet config get oracle.url",
        ExitCode.UNREACHABLE,
    )


def _key(patient: Patient) -> Answer:
    settings, word = patient.config.settings, patient.oracle
    shown = word.info.ticket_key if word and word.info else ""
    pinned = (settings.oracle.ticket_key if settings else "") or patient.worker.pinned_key
    if not pinned:
        return note(
            f"the Oracle's key is {fingerprint_of(shown)}; none is pinned yet",
            "it is pinned at first contact: compare it with what its operator says",
            "nunet onboard --oracle-key KEY",
        )
    if pinned != shown:
        return error(
            f"the Oracle's key is {fingerprint_of(shown)}, pinned is {fingerprint_of(pinned)}",
            "this may be another Oracle than the one that you trust: its jobs are refused",
            "ask its operator; to trust the new key: nunet onboard --oracle-key KEY",
            ExitCode.REFUSED,
        )
    return fine(f"the Oracle's key is the pinned one, {fingerprint_of(pinned)}")


def _warning(patient: Patient) -> Answer:
    info = patient.oracle.info if patient.oracle else None
    if info is not None and info.warning:
        return note(f"the Oracle says: {info.warning}", "its operator wants you to know")
    return fine("the Oracle warns of nothing")


def _agreement(patient: Patient) -> Answer:
    """Compare the clocks; the Oracle's time has whole seconds."""
    ahead_s = patient.oracle.ahead_s if patient.oracle else None
    why = f"jobs come with a time; one more than {CLOCK_SKEW_S} s off is refused"
    if ahead_s is None:
        return note("the Oracle does not tell its time", why, "date -u")
    off_s, cure = abs(ahead_s), _set_clock(patient)
    found = f"this clock is {off_s} s {'ahead of' if ahead_s > 0 else 'behind'} the Oracle's"
    if off_s > CLOCK_SKEW_S:
        return error(found, why, cure, ExitCode.REFUSED)
    if off_s > CLOCK_WARN_S:
        return warning(found, why, cure)
    return fine(f"this clock and the Oracle's agree within {max(off_s, 1)} s")


def _synchronised(patient: Patient) -> Answer:
    synchronised, kind = patient.clock.is_synchronised, patient.found.virtualization.kind
    why = "a clock that nobody sets is wrong by seconds each day, and then jobs are refused"
    if synchronised:
        return fine("something keeps this clock right")
    if synchronised is None:
        return note("whether something keeps this clock right cannot be told", why, "timedatectl")
    if kind in HOST_KEEPS_TIME:
        return note(
            "nothing within this system keeps its clock right; what it runs on may do so",
            why,
            _set_clock(patient),
        )
    return warning("nothing keeps this clock right", why, _set_clock(patient))


def _set_clock(patient: Patient) -> str:
    if patient.found.virtualization.kind is Kind.WSL2:
        return "sudo hwclock -s (takes the time from Windows)"
    if patient.found.systemd.running:
        return "sudo timedatectl set-ntp true"
    return "sudo apt install chrony"


CHECKS = (
    Check("clock.synchronised", _synchronised, (NOTE, WARNING)),
    Check("oracle.answers", _answers, (NOTE, ERROR), lambda patient: patient.oracle is not None),
    Check("oracle.key", _key, (NOTE, ERROR), oracle_answers),
    Check("oracle.warning", _warning, (NOTE,), oracle_answers),
    Check("clock.oracle", _agreement, (NOTE, WARNING, ERROR), oracle_answers),
)
