"""Jobs that kill the worker: told by its deaths in their presence, and put out of its way.

A sudden end of the worker is held against every job in hand, in the state in which it stood, but
not against one with which the worker had lived well in that state: it has done no harm so far. Two
deaths in a row in the same state, and the job is in quarantine: stopped, and reported as our fault.
Where it has ended already, its report is money: it waits until the worker has lived well for a
while, so that the other jobs have their turn, and is tried again then. A reboot of the machine is
no death, nor is a worker that ended itself.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone

from nunet_dms.node.delivery import save_results
from nunet_dms.node.deps import Deps
from nunet_dms.node.ending import UNTOLD, Ending, Evidence, Moment, ran_ms
from nunet_dms.node.engine.types import Failure
from nunet_dms.node.journal import Journal
from nunet_dms.node.limits import STOP_GRACE_S
from nunet_dms.node.live import Live, ask
from nunet_dms.node.logs import finished
from nunet_dms.node.rows import JobRow
from nunet_dms.node.states import HAS_CONTAINER, State
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.report import Reason

log = logging.getLogger(__name__)

POISON_DEATHS = 2
"""Of the worker, in a row, with the job in the same state: once may be chance."""
POISON_LIFE_S = 120.0
"""What the worker has lived through for so long with a job in one state does not kill it: every
task of a job comes round within two minutes, the longest back-off included."""


def is_poison(row: JobRow) -> bool:
    """Say whether a job in hand has killed the worker where it stands now."""
    return row.deaths >= POISON_DEATHS and row.death_state == row.state.value


def evidence(row: JobRow) -> str:
    """Return why a job is in quarantine."""
    return (
        f"in quarantine: the worker died {row.deaths} times in a row"
        f" with this job in state {row.state.value}"
    )


def after_death(row: JobRow) -> JobRow:
    """Return a job as one more death of the worker leaves it.

    `deaths` = 0 with a `death_state` means that the worker had lived well with it in that state;
    one death uses that up.
    """
    if row.death_state != row.state.value:
        return replace(row, deaths=1, death_state=row.state.value)
    if row.deaths == 0:
        return replace(row, death_state="")
    return replace(row, deaths=row.deaths + 1)


def count_deaths(journal: Journal) -> None:
    """Hold the end of the worker before this one, if it was sudden, against the jobs in hand."""
    if not journal.died or journal.former is None:
        return
    rows = tuple(row for row in journal.open_jobs() if row.state in HAS_CONTAINER)
    began = datetime.fromtimestamp(journal.former.opened_ms / 1000, tz=timezone.utc)
    log.warning("worker_died began=%s jobs=%d", f"{began:%Y-%m-%dT%H:%M:%SZ}", len(rows))
    story = f"the worker of {began:%Y-%m-%d %H:%M:%S} UTC ended suddenly"
    journal.died_with(tuple(map(after_death, rows)), story)


@dataclass(slots=True)
class _Lived:
    """Since when this worker has lived with a job in one state."""

    state: State
    since_s: float


class Breaker:
    """Sees with which jobs the worker lives well; `replace` takes a row that was written."""

    def __init__(self, journal: Journal, replace_row: Callable[[JobRow], None]) -> None:
        self._journal = journal
        self._replace_row = replace_row
        self._lived: dict[str, _Lived] = {}

    def look(self, rows: tuple[JobRow, ...], now_s: float) -> None:
        """Take the jobs in hand; `now_s` is monotonic."""
        lived, self._lived = self._lived, {}
        for row in rows:
            known = lived.get(row.job_id)
            if known is None or known.state is not row.state:
                known = _Lived(row.state, now_s)
            self._lived[row.job_id] = known
            is_noted = (row.deaths, row.death_state) == (0, row.state.value)
            is_shut_off = is_poison(row) and row.state is not State.EXITED
            if row.state not in HAS_CONTAINER or is_noted or is_shut_off:
                continue
            if now_s - known.since_s >= POISON_LIFE_S:
                self._replace_row(self._journal.lived_with(row))


class Quarantine:
    """What the runner does with a poisonous job: stop it, and touch nothing that it left."""

    def __init__(self, deps: Deps, store_end: Callable[[Live, Ending], None]) -> None:
        self._deps = deps
        self._store_end = store_end
        self.handle: dict[str, Callable[[Live, object], None]] = {"quarantine": self._stopped}

    def advance(self, live: Live) -> None:
        """Stop its container, then end it as our fault; the report of one that has ended waits."""
        why = evidence(live.row)
        if live.row.state is State.ADMITTED:
            live.row = self._deps.journal.move(live.row, State.LOST, why)
            log.error("job_quarantined job=%s: %s", live.row.job_id, why)
        elif live.row.state is not State.EXITED:
            ask(self._deps, live, "quarantine", lambda: self._stop(live))

    def _stop(self, live: Live) -> Ending:
        engine, why = self._deps.engine, evidence(live.row)
        engine.stop(live.name, STOP_GRACE_S)
        facts = engine.facts(live.name)
        clock, nothing = self._deps.clock, Manifest()
        is_untouched = live.row.state not in {State.STARTING, State.RUNNING}
        seen = Moment(clock.now_ms(), clock.mono_ms())
        known = Evidence(facts, UNTOLD, False, self._deps.boot_id, seen)
        return Ending(
            failure=Failure(Reason.NODE_FAULT, why),
            facts=facts,
            ran_ms=ran_ms(live.row, known),
            log=replace(finished(live.folder.log), complete=is_untouched),
            results=nothing,
            results_complete=is_untouched,
        )

    def _stopped(self, live: Live, value: object) -> None:
        if isinstance(value, Ending):
            # Not in the task: one that is given up would write it when all is cleared away.
            with self._deps.journal.storage.told:
                save_results(live.folder, value.results)
            self._store_end(live, value)
            log.error("job_quarantined job=%s: %s", live.row.job_id, value.failure.detail)
