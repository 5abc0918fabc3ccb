"""`nunet worker set-aside`: put away a journal that cannot be used."""

from __future__ import annotations

import time
from dataclasses import dataclass

import typer

from nunet_dms import paths
from nunet_dms.cli import render
from nunet_dms.errors import UsageError
from nunet_dms.node.journal_aside import LastWords, journal_files, last_words, set_aside
from nunet_dms.node.lock import WorkerLock, holder


@dataclass(frozen=True, slots=True)
class SetAside:
    """The facts of `nunet worker set-aside --json`, schema nunet.worker.set_aside/1."""

    folder: str
    open_jobs: int | None
    """Jobs in it that ran, or were to be reported or paid; None if it cannot be read."""
    reports_waiting: int | None


def set_journal_aside(
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
    as_json: bool = typer.Option(False, "--json", help="One line of JSON."),
) -> None:
    """Put away a journal that cannot be used; the next start makes a new one.

    Open jobs are given up: what they would pay is lost, and their requesters are repaid. All files
    of the journal stay, in a folder beside it; keys, wallets, receipts and settings stay in place.
    """
    where = paths.resolve()
    if (pid := holder(where.lock_file)) is not None:
        raise UsageError(
            f"cannot set the journal aside: the worker (process {pid}) has it open",
            hint="type: nunet worker stop",
        )
    if not journal_files(where.journal):
        raise UsageError(f"cannot set the journal aside: there is none at {where.journal}")
    words = last_words(where.journal)
    _confirm_set_aside(words, yes=yes)
    lock = WorkerLock(where.lock_file)
    folder = set_aside(where.journal, time.time())
    lock.release()
    facts = SetAside(str(folder), words.open_jobs, words.reports_waiting)
    lines = (
        f"the journal is in {folder}; {_what_is_given_up(words)}",
        "the next start makes a new one, removes containers that are left, and trusts the Oracle's"
        " key at first contact unless config.toml names it",
    )
    render.show(render.Shown("nunet.worker.set_aside/1", facts, lines), as_json)


def _what_is_given_up(words: LastWords) -> str:
    if words.open_jobs is None:
        return "it cannot be read: whatever jobs are open in it are given up"
    return (
        f"open jobs that are given up: {words.open_jobs};"
        f" reports that the Oracle does not have: {words.reports_waiting}"
    )


def _confirm_set_aside(words: LastWords, *, yes: bool) -> None:
    if yes:
        return
    if not render.can_ask():
        raise UsageError(
            f"cannot set the journal aside: nobody can be asked here; {_what_is_given_up(words)}",
            hint="if you are sure: --yes",
        )
    if not render.confirm(f"Set the journal aside? {_what_is_given_up(words)}."):
        raise UsageError("nothing was changed", hint="to skip the question: --yes")
