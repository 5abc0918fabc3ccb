"""Settings, permissions and keys."""

from __future__ import annotations

from nunet_dms.cardano.address import parse_address, parse_payee
from nunet_dms.errors import ExitCode, MalformedError
from nunet_dms.provider.doctor.check import (
    ERROR,
    NOTE,
    WARNING,
    Check,
    onboarded,
    settings_read,
)
from nunet_dms.provider.doctor.files import KeyFacts
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

OTHERS = 0o077
OTHERS_WRITE = 0o002
"""Bits of a mode: everything for group and others; writing for everybody."""
AS_OWNER = "as the user that it belongs to (the whole machine's: sudo nunet doctor)"
COPY = "put your copy back there"
WALLET = "nunet config set wallet.address ADDR"


def _settings(patient: Patient) -> Answer:
    settings = patient.config
    if settings.problem:
        return error(
            settings.problem,
            "the worker does not start with settings that it cannot use, and one that runs goes"
            " by the old ones",
            settings.cure or "nunet config edit",
            ExitCode.USAGE,
        )
    return fine(f"the settings in {patient.where.config_file} can be used")


def _state_dir(patient: Patient) -> Answer:
    folder, user = patient.files.state_dir, patient.user
    why = "keys, jobs and the journal lie there"
    if folder.problem:
        return error(folder.problem, why, AS_OWNER, ExitCode.USAGE)
    if folder.mode is None:
        return fine(f"{folder.path} is not made yet")
    if folder.owner_uid != user.uid:
        return error(
            f"{folder.path} belongs to user {folder.owner_uid}, not to {user.name or user.uid}",
            why,
            f"{AS_OWNER}; or, if it should be yours: sudo chown -R {user.uid} {folder.path}",
            ExitCode.USAGE,
        )
    if folder.mode & OTHERS:
        return warning(
            f"{folder.path} is open to others (mode {folder.mode_text})",
            why,
            f"chmod 700 {folder.path}",
        )
    return fine(f"{folder.path} is open to its owner alone")


def _config_file(patient: Patient) -> Answer:
    files = patient.files
    for each in (files.config_dir, files.config_file):
        if (each.mode or 0) & OTHERS_WRITE:
            return error(
                f"everybody may change {each.path} (mode {each.mode_text})",
                "who changes the wallet's address there is paid for your jobs",
                f"chmod o-w {each.path}",
                ExitCode.USAGE,
            )
        if each.owner_uid not in {None, 0, patient.user.uid}:
            return error(
                f"{each.path} belongs to user {each.owner_uid}",
                "who changes the wallet's address there is paid for your jobs",
                f"sudo chown {patient.user.uid} {each.path}",
                ExitCode.USAGE,
            )
    return fine(f"only its owner may change {files.config_file.path}")


def _identity(patient: Patient) -> Answer:
    return _key(
        patient, patient.files.identity, "identity key", "with it the node proves who it is"
    )


def _settlement(patient: Patient) -> Answer:
    return _key(
        patient, patient.files.settlement, "settlement key", "without it no job is paid out"
    )


def _key_cure(patient: Patient, key: KeyFacts) -> str:
    """A key that another user owns is theirs to look at; any other is broken."""
    is_ours = patient.files.state_dir.owner_uid in {None, patient.user.uid}
    return f"{COPY} ({key.path})" if is_ours else AS_OWNER


def _key(patient: Patient, key: KeyFacts, name: str, why: str) -> Answer:
    if not key.there:
        return error(
            f"the {name} {key.path} is missing",
            why,
            f"{COPY}; without one, as a new node, once no job is open: nunet onboard",
            ExitCode.USAGE,
        )
    if key.problem:
        return error(key.problem, why, key.cure or _key_cure(patient, key), ExitCode.USAGE)
    return fine(f"the {name} can be used, and by its owner alone")


def _wallet(patient: Patient) -> Answer:
    key, address = patient.files.wallet, _address(patient)
    why = "with it the tokens that were earned are spent"
    if not key.there:
        return fine("the wallet's key is kept elsewhere")
    if key.problem:
        return error(key.problem, why, key.cure or _key_cure(patient, key), ExitCode.USAGE)
    try:
        payee = (parse_address(address).payment_hash or b"").hex()
    except MalformedError:
        return fine("the wallet's key can be used; see keys.payee")
    if payee != key.key_hash:
        return note(
            f"the wallet {key.path} is not the one that is paid: {address}",
            "rewards go to another wallet, whose key must be kept elsewhere",
            WALLET,
        )
    return fine(f"the wallet's key is {key.path}: keep a copy of it")


def _payee(patient: Patient) -> Answer:
    address = _address(patient)
    info = patient.oracle.info if patient.oracle else None
    try:
        parse_payee(address, info.network_id if info else None)
    except MalformedError as wrong:
        why = "the Oracle does not take a node whose rewards could not be paid"
        return error(f"{address}: {wrong}", why, WALLET, ExitCode.USAGE)
    return fine(f"rewards are paid to {address}")


def _address(patient: Patient) -> str:
    settings = patient.config.settings
    return settings.wallet.address if settings else ""


CHECKS = (
    Check("settings.valid", _settings, (ERROR,), onboarded),
    Check("files.config", _config_file, (ERROR,), onboarded),
    Check("files.state_dir", _state_dir, (WARNING, ERROR)),
    Check("keys.identity", _identity, (ERROR,), onboarded),
    Check("keys.settlement", _settlement, (ERROR,), onboarded),
    Check("keys.wallet", _wallet, (NOTE, ERROR), settings_read),
    Check("keys.payee", _payee, (ERROR,), settings_read),
)
