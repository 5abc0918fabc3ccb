"""What happens without anybody asking: blocks, confirmations, expiry, settlements, sweeping."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from nunet_dms.errors import UnreachableError
from nunet_dms.oracle import (
    alerts,
    conflicts,
    files,
    jobs,
    missed,
    offering,
    quotes,
    reporting,
    retention,
    settling,
)
from nunet_dms.oracle.chain_watch import ChainWatch
from nunet_dms.oracle.composition import Oracle
from nunet_dms.oracle.jobs import JobRow
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.oracle.states import AT_THE_NODE
from nunet_dms.protocol.submission import JobState

JOBS_AT_ONCE = 500
"""Jobs read from the database at a time."""
QUOTE_KEPT_S = 86_400
"""How long an expired quote is kept, so that a late submission hears why it is refused."""
SWEEP_EVERY_S = 60
SWEEPS_AT_ONCE = 50
"""Short transactions, one after the other, while there is something to remove: a job that saves
itself may let go of thousands of files a minute."""

log = logging.getLogger(__name__)


class Clockwork:
    """Turns once at each `step`; one job's trouble is logged and leaves the others alone."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle
        self._next_sweep_s = 0.0
        self.watch = ChainWatch(oracle.chain)
        self.last_step_s = 0.0
        """When the last whole step was done, or we began; Unix seconds. Health depends on it."""
        self.alerts = 0
        """How many jobs near their deadline are not paid out. Health depends on it."""
        self.conflicts = 0
        """Jobs with a second, other report that the operator has not looked at."""

    def start(self) -> None:
        """Begin a life: leases start anew, since nodes could not renew them while we were down."""
        self.last_step_s = self._oracle.clock()
        self.watch.look()
        with self._oracle.store.writing() as db:
            jobs.renew_leases(db, int(self.last_step_s) + LEASE_S)

    def step(self, now_s: float) -> None:
        """Do everything that is due once."""
        oracle = self._oracle
        if oracle.devnet is not None:
            oracle.devnet.tick()
        self.watch.look()
        self._look_again(now_s)
        self._each(JobState.SUBMITTED, lambda job: offering.confirm(oracle, job))
        self._each(JobState.OFFERED, lambda job: offering.lose_offer(oracle, job.job_id, now_s))
        self._each(JobState.RUNNING, lambda job: reporting.lose_lease(oracle, job.job_id, now_s))
        self._each(JobState.REPORTED, lambda job: settling.begin(oracle, job.job_id))
        self._each(JobState.DECIDED, lambda job: settling.pay_out(oracle, job.job_id))
        self._each(JobState.SETTLING, lambda job: settling.follow(oracle, job))
        self._count_alerts()
        self.conflicts = conflicts.unseen(oracle)
        if now_s >= self._next_sweep_s:
            self._next_sweep_s = now_s + SWEEP_EVERY_S
            for _ in range(SWEEPS_AT_ONCE):
                if not files.sweep(oracle, now_s):
                    break
            retention.sweep(oracle, now_s)
            with oracle.store.writing() as db:
                quotes.remove_old(db, now_s - QUOTE_KEPT_S)
                missed.remove_old(db, now_s)
        self.last_step_s = now_s

    def run(self, stop: threading.Event) -> None:
        """Step at the chain's interval until `stop` is set."""
        self.start()
        while not stop.wait(self._oracle.config.turn_interval_s):
            try:
                self.step(self._oracle.clock())
            except Exception:  # the next turn may do; health tells that none did
                log.exception("step_failed")

    def _count_alerts(self) -> None:
        """Tell of deadlines that come near; without the chain's slot the last count stands."""
        try:
            self.alerts = alerts.tell(self._oracle)
        except UnreachableError as error:
            log.warning("alerts_wait why=%s", error)

    def _each(self, state: JobState, act: Callable[[JobRow], object]) -> None:
        last: JobRow | None = None
        while True:
            with self._oracle.store.reading() as db:
                found = jobs.in_state(db, state, JOBS_AT_ONCE, after=last)
            if not found:
                return
            last = found[-1]
            for job in found:
                _try(job, act)

    def _look_again(self, now_s: float) -> None:
        """See that the chain still has what it had of jobs that it may lose."""
        oracle = self._oracle
        with oracle.store.reading() as db:
            found = jobs.to_look_at(db, now_s, JOBS_AT_ONCE)
        for job in found:
            if job.state in AT_THE_NODE:
                _try(job, lambda job: reporting.tend_payment(oracle, job, now_s))
            elif job.state is JobState.SETTLED:
                _try(job, lambda job: settling.follow_settled(oracle, job))
            else:  # its own turn looks at the chain
                with oracle.store.writing() as db:
                    jobs.look_no_more(db, job)


def _try(job: JobRow, act: Callable[[JobRow], object]) -> None:
    """Do something for one job; whatever goes wrong, the others go on, and it is tried again."""
    try:
        act(job)
    except UnreachableError as error:  # unknown, not lost
        log.warning("job_waits job=%s state=%s why=%s", job.job_id, job.state.value, error)
    except Exception:  # a mistake of ours in one job must not stop the others' money
        log.exception("job_stuck job=%s state=%s", job.job_id, job.state.value)
