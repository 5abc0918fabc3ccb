"""One case of a sweep: a node of its own with one core, a pair of paid jobs, and deaths on the way.

The second job is ordered as soon as the Oracle has room for it, which is when it has the report of
the first: so the end of one and the start of the other overlap.
"""

from __future__ import annotations

import itertools
import signal
import threading
import time
from pathlib import Path

from nunet_dms.cardano.keys import PaymentKey
from nunet_dms.errors import RefusedError
from nunet_dms.node.engine.profile import LABEL_NODE
from nunet_dms.node.journal_reader import JournalReader
from nunet_dms.node.states import State
from nunet_dms.oracle import jobs as oracle_jobs
from nunet_dms.oracle.jobs import JobRow, Paper
from nunet_dms.paths import resolve
from nunet_dms.protocol import strict
from nunet_dms.protocol.job import JobSpec, Manifest, Resources
from nunet_dms.protocol.report import Reason, provider_share
from nunet_dms.protocol.submission import JobState
from tests.contract.oracle.oracle_world import NETWORK_ID, Requester, entry, tokens_at
from tests.sweep.account import Account, Death
from tests.sweep.armed_worker import Arms
from tests.sweep.house import CORE_MHZ, House, Life, Seen, onboard

EXITS = (7, 0)
"""Of the first job and the second."""
LINES = 6
LINE_EVERY_US = 50_000
JOB_S = LINES * LINE_EVERY_US / 1e6
LONGER_THAN_A_JOB_S = 4 * JOB_S
"""Between a death and the next start, where that is to be longer than a job with its container."""
STORY = b"start\nend\n"
SCRIPT = """
echo start >>story
for n in $(seq 1 {lines}); do echo "line $n"; usleep {every}; done
echo end >>story
printf 'no last newline'
exit {code}
"""
LOG = b"".join(b"line %d\n" % n for n in range(1, LINES + 1)) + b"no last newline"
TIME_LIMIT_S = 60
LOOK_EVERY_S = 0.2
CASE_S = 90.0
"""After that a case counts as one in which something was lost."""
STOP_S = 20.0
REPORTED = frozenset(
    {JobState.REPORTED, JobState.DECIDED, JobState.SETTLING, JobState.SETTLED, JobState.VOID}
)
QUARANTINED = "quarantine"
"""Stands in the detail of a job that a poison-job breaker ended."""


class Case:
    """A provider, a requester and their two jobs; `play` runs them to the end."""

    def __init__(
        self, house: House, name: str, deaths: tuple[Death, ...], mutant: str = "", url: str = ""
    ) -> None:
        """Onboard; `url` is a faulty network before the Oracle, and its worker is a hurried one."""
        self._house = house
        self._folder = house.folder / name
        self._deaths = list(deaths)
        self._mutant = mutant
        self._is_hurried = bool(url)
        self._where = resolve(environ={"NUNET_HOME": str(self._folder)})
        self._wallet = PaymentKey.generate().address(NETWORK_ID)
        self._us = onboard(self._where, house, self._wallet.bech32, url)
        self._requester = Requester(house.world, funded=False)
        assert house.world.oracle.devnet is not None
        house.world.oracle.devnet.faucet(self._requester.address, 100_000_000, 10**9)
        self._ordered: list[str] = []
        self._lives: list[Path] = []
        self._account = Account()

    def play(self, limit_s: float = CASE_S) -> Account:
        """Run both jobs through all deaths, then hold what is left against what must be."""
        began = time.monotonic()
        life = self._start()
        try:
            while not (self._is_done() and self._is_quiet()):
                if life.has_ended(LOOK_EVERY_S):
                    following = self._after_death()
                    if following is None:
                        break
                    life = following
                self._order_what_fits()
                if time.monotonic() - began > limit_s:
                    self._account.faults.append(f"not done after {limit_s:g} s: {self._standing()}")
                    break
            life.signal(signal.SIGTERM)
            if not life.has_ended(STOP_S):
                self._account.faults.append(f"the worker did not stop within {STOP_S:g} s")
        finally:
            life.signal(signal.SIGKILL)
        self._account.passed = self._lines(self._lives[0])
        self._account.faults += self._faults()
        self._clear()
        return self._account

    def _start(self) -> Life:
        """Start a life, armed for the next death."""
        passed = self._folder / f"life-{len(self._lives)}"
        self._lives.append(passed)
        death = self._deaths[0] if self._deaths else Death("")
        arms = Arms(
            home=str(self._folder), passed=str(passed), log=str(self._folder / "log"),
            point=death.point, pass_number=death.pass_number, mutant=self._mutant,
            hurried=self._is_hurried,
        )  # fmt: skip
        return self._house.forge.worker(arms)

    def _after_death(self) -> Life | None:
        """Note a death and begin the next life, at once or later; None if it was not our doing."""
        if "KILLED" not in self._lines(self._lives[-1]):
            ended = f"life {len(self._lives)} ended by itself: {self._log()}"
            self._account.faults.append(ended)
            return None
        self._account.kills += 1
        death = self._deaths.pop(0)
        until = time.monotonic() + death.delay_s
        while time.monotonic() < until:  # who orders jobs does not wait for a worker
            _PAUSE.wait(LOOK_EVERY_S)
            self._order_what_fits()
        return self._start()

    def _order_what_fits(self) -> None:
        """Order the next job as soon as the Oracle has room for it."""
        number = len(self._ordered)
        if number == len(EXITS) or (number and self._job(number - 1).state not in REPORTED):
            return
        if not number and not self._requester.tokens():
            return  # the faucet's block is still to come
        script = SCRIPT.format(lines=LINES, every=LINE_EVERY_US, code=EXITS[number])
        spec = JobSpec(
            image=self._house.image,
            command=("sh", "-c", script),
            resources=Resources(cpu_mhz=CORE_MHZ, ram_mb=32, disk_mb=4),
            time_limit_s=TIME_LIMIT_S,
        )
        try:
            quote = self._requester.quote(spec, node_id=self._us.node_id)
        except RefusedError as refused:
            if refused.code != "no_capacity":
                raise
            return
        submission = self._requester.submission(quote)
        self._ordered.append(self._requester.submit(submission).job_id)

    def _is_done(self) -> bool:
        """Whether both jobs are settled and both sides know it, or one is given up for good."""
        if any(self._poisoned_in(job_id) in _GIVEN_UP for job_id in self._ordered):
            with JournalReader(self._where.journal) as journal:
                return not journal.open_jobs()
        if len(self._ordered) < len(EXITS):
            return False
        if not all(job.state is JobState.SETTLED and job.receipt_acked for job in self._jobs()):
            return False
        with JournalReader(self._where.journal) as journal:
            return not journal.open_jobs() and len(journal.jobs()) == len(EXITS)

    def _is_quiet(self) -> bool:
        """Whether no container is left: the last thing that a worker does for a job."""
        filters = {"label": f"{LABEL_NODE}={self._us.node_id}"}
        return not self._house.engine.api.containers(all=True, filters=filters) and not (
            self._left_in_folders()
        )

    def _job(self, number: int) -> JobRow:
        with self._house.world.oracle.store.reading() as db:
            found = oracle_jobs.find(db, self._ordered[number])
        assert found is not None
        return found

    def _jobs(self) -> list[JobRow]:
        return [self._job(number) for number in range(len(self._ordered))]

    def _states(self) -> dict[str, str]:
        """Return where each open job stands in the journal."""
        if not self._where.journal.exists():
            return {}
        with JournalReader(self._where.journal) as journal:
            return {row.job_id: row.state.value for row in journal.open_jobs()}

    def _standing(self) -> str:
        at_oracle = [self._job(n).state.value for n in range(len(self._ordered))]
        return f"ordered {self._ordered}, at the Oracle {at_oracle}, here {self._states()}"

    def _lines(self, life: Path) -> list[str]:
        return life.read_text().splitlines() if life.exists() else []

    def _log(self) -> str:
        log = self._folder / "log"
        return log.read_text(errors="replace")[-2000:] if log.exists() else ""

    # What must be true at the end, whatever happened.

    def _faults(self) -> list[str]:
        stuck = any(self._poisoned_in(job_id) in _GIVEN_UP for job_id in self._ordered)
        faults = [] if stuck or len(self._ordered) == len(EXITS) else ["a job was not accepted"]
        seen = self._house.witness.of(self._us.node_id)
        earned = 0
        for number, job_id in enumerate(self._ordered):
            job, mine = self._job(number), [each for each in seen if each.job_id == job_id]
            earned += job.provider_amount or 0
            own = self._job_faults(job, EXITS[number], mine)
            faults += [f"job {number + 1} ({job_id[:8]}): {each}" for each in own]
        if self._tokens() != earned:
            faults.append(f"the verdicts pay {earned}, the provider has {self._tokens()}")
        held = sum(job.price for job in self._jobs() if self._poisoned_in(job.job_id) in _GIVEN_UP)
        if (gone := 10**9 - self._requester.tokens()) != earned + held:
            faults.append(f"the requester paid {gone}, not {earned} beside {held} in escrow")
        if _most_at_once(seen) > 1:
            faults.append(f"{_most_at_once(seen)} containers ran at once on one core")
        return faults + self._left_behind()

    def _job_faults(self, job: JobRow, code: int, seen: list[Seen]) -> list[str]:
        """Hold one job against what it did."""
        if state := self._poisoned_in(job.job_id):
            return self._quarantine_faults(job, state)
        starts = [each for each in seen if each.action == "start"]
        ends = [each.exit_code for each in seen if each.action == "die"]
        expected = Reason.FAILED if code else Reason.SUCCEEDED
        due = provider_share(job.price, expected, job.ran_ms, TIME_LIMIT_S)
        facts = {
            "reason": (job.reason, expected),
            "exit code": (job.exit_code, code),
            "starts": (len(starts), 1),
            "ends": (ends, [str(code)]),
            "log": (self._requester.log(job.job_id)[0], LOG),
            "log complete": (job.log_complete, True),
            "results": (self._results(job.job_id), Manifest(files=(entry("story", STORY),))),
            "paid": (job.provider_amount, due),
            "bodies of its report": (self._bodies(job.job_id), 1),
            "reports accepted": (self._moves(job.job_id, JobState.REPORTED), 1),
            "settlements": (self._moves(job.job_id, JobState.SETTLED), 1),
        }
        return [
            f"{what}: {is_!r}, not {must!r}" for what, (is_, must) in facts.items() if is_ != must
        ]

    def _poisoned_in(self, job_id: str) -> str:
        """Return the state in which two deaths in a row found a job; empty if none.

        By its story: a worker that dies before it has opened the journal is held against nobody.
        """
        with JournalReader(self._where.journal) as journal:
            deaths = [each for each in journal.events(job_id) if each.what == "worker_died"]
        held = [each.detail.partition(";")[0].removeprefix("in state ") for each in deaths]
        twice = [one for one, two in itertools.pairwise(held) if one == two and one in _HELD]
        return twice[0] if twice else ""

    def _quarantine_faults(self, job: JobRow, state: str) -> list[str]:
        """Hold a job against what quarantine makes of it: nobody pays, and its story says why.

        What the Oracle never heard of, or will never hear the report of, it ends by itself.
        """
        with JournalReader(self._where.journal) as journal:
            row = journal.job(job.job_id)
            story = [row.detail, *(event.detail for event in journal.events(job.job_id))]
        given_up = state in _GIVEN_UP
        facts = {
            "state here": (row.state, State.LOST if given_up else State.SETTLED),
            "reason": (job.reason, None if given_up else Reason.NODE_FAULT),
            "paid": (job.provider_amount or 0, 0),
            "in its story": (any(QUARANTINED in each for each in story), True),
        }
        return [
            f"{what}: {is_!r}, not {must!r}" for what, (is_, must) in facts.items() if is_ != must
        ]

    def _left_behind(self) -> list[str]:
        with JournalReader(self._where.journal) as journal:
            open_jobs = [f"{row.job_id[:8]} {row.state.value}" for row in journal.open_jobs()]
            lost = [
                row.job_id[:8]
                for row in journal.jobs()
                if row.state is State.LOST and not self._poisoned_in(row.job_id)
            ]
            waiting = journal.outbox_waiting()
        filters = {"label": f"{LABEL_NODE}={self._us.node_id}"}
        containers = self._house.engine.api.containers(all=True, filters=filters)
        left = {
            "open rows": open_jobs, "lost rows": lost, "reports": waiting,
            "containers": [each["Names"] for each in containers],
            "in folders": self._left_in_folders(),
        }  # fmt: skip
        return [f"left behind, {what}: {found}" for what, found in left.items() if found]

    def _left_in_folders(self) -> list[str]:
        """Return what is left of jobs on the disk, beside their logs."""
        jobs = self._where.jobs_dir
        left = [
            str(path.relative_to(jobs))
            for path in jobs.rglob("*")
            if path.name != "log" and path.parent != jobs
        ]
        receipts = {f"{job_id}.json" for job_id in self._ordered}
        return left + [
            path.name for path in self._where.receipts_dir.glob("*") if path.name not in receipts
        ]

    def _results(self, job_id: str) -> Manifest | None:
        with self._house.world.oracle.store.reading() as db:
            text = oracle_jobs.paper(db, job_id, Paper.RESULTS)
        return strict.decode(Manifest, text) if text else None

    def _moves(self, job_id: str, to: JobState) -> int:
        counted = "SELECT COUNT(*) FROM events WHERE job_id = ? AND to_state = ?"
        with self._house.world.oracle.store.reading() as db:
            found = db.exec_driver_sql(counted, (job_id, to.value)).scalar_one()
        return int(found)

    def _bodies(self, job_id: str) -> int:
        """Count the different bodies that were ever sent as a job's report."""
        mark = f"REPORT {job_id} "
        return len({line for life in self._lives for line in self._lines(life) if mark in line})

    def _tokens(self) -> int:
        world = self._house.world
        return tokens_at(world, self._wallet, world.oracle.network.asset)

    def _clear(self) -> None:
        """Take away what a mutant may have left, so that no other case sees it."""
        filters = {"label": f"{LABEL_NODE}={self._us.node_id}"}
        for each in self._house.engine.api.containers(all=True, filters=filters):
            self._house.engine.api.remove_container(each["Id"], v=True, force=True)


_PAUSE = threading.Event()  # never set
_GIVEN_UP = frozenset({"admitted"})
"""States in which quarantine sends the Oracle no report."""
_HELD = _GIVEN_UP | {"accepted", "created", "starting", "running"}
"""States in which a second death of the worker ends a job; a report that waits is only held up."""


def _most_at_once(seen: tuple[Seen, ...]) -> int:
    """Return how many containers of a node ran at once, at most."""
    most, running = 0, 0
    for each in seen:
        running += (each.action == "start") - (each.action == "die")
        most = max(most, running)
    return most
