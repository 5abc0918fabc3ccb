"""What a container engine does, as a few tables: it runs, ends, logs, forgets, dies and comes back.

`StandInEngine` is how the worker talks to it; what nobody asks for, the world does to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nunet_dms.errors import NunetError
from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE
from nunet_dms.node.engine.types import (
    ContainerSpec,
    EngineEvent,
    Facts,
    Failure,
    History,
    LogRecord,
    Owned,
    StoredImage,
    Usage,
)
from nunet_dms.node.limits import DEADLINE_MARGIN_S, STOP_GRACE_S
from nunet_dms.protocol.report import Reason
from tests.simulation.container import BY_HOST, KILLED, TERMINATED, Container, Program

if TYPE_CHECKING:
    from tests.simulation.world import World


class Daemon:
    """The engine of a simulated node; it outlives the worker."""

    def __init__(self, world: World, programs: dict[str, Program]) -> None:
        self.containers: dict[str, Container] = {}
        self.gone: list[Container] = []
        """Removed; for the checks."""
        self.is_away = False
        self.live_restore = True
        self.images_here: set[str] = set()
        self._world = world
        self.programs = programs
        """By image reference."""
        self.news = world.signal()
        """Given whenever a container writes or ends, or the engine goes away or comes back."""
        self._made = 0

    def find(self, name: str) -> Container | None:
        """Return the container of this name or id."""
        if (found := self.containers.get(name)) is not None:
            return found
        here = self.containers.values()
        return next((each for each in here if each.container_id == name), None)

    # What the world does to it.

    def go(self, *, asked: bool) -> None:
        """The daemon dies; asked to, and without live-restore, it takes along what runs."""
        self.is_away = True
        if asked and not self.live_restore:
            for each in self._running():
                self.end(each, self._code_of_term(), "engine")
        self.news.give()

    def come_back(self) -> None:
        """The daemon starts, and has forgotten what was; without live-restore it ends what runs."""
        self.is_away = False
        for each in self.containers.values():
            each.events.clear()
            self._read_pipe(each)
        for each in [] if self.live_restore else self._running():
            self._tell(each, "kill", 15)
            self.end(each, self._code_of_term(), "engine")
            self._tell(each, "stop")
        self.news.give()

    def _running(self) -> list[Container]:
        return [each for each in self.containers.values() if each.status == "running"]

    def _code_of_term(self) -> int:
        """Return how a process may end that the daemon ends: also as if all were well."""
        return self._world.choice((KILLED, TERMINATED, 0))

    def _read_pipe(self, each: Container) -> None:
        """Take what was written meanwhile, if it still runs; else the last of it is lost."""
        if each.status == "running" and self.live_restore:
            each.records.extend(each.unread)
        elif self.live_restore:
            each.records.extend(each.unread[: len(each.unread) // 2])
        each.unread.clear()

    def reboot(self) -> None:
        """The host restarts: nothing runs any more, and the engine is there again at once."""
        for each in self._running():
            self.end(each, self._world.choice((KILLED, BY_HOST)), "host")
        for each in self.containers.values():
            each.events.clear()
            each.unread.clear()
        self.is_away = False
        self.news.give()

    def rotate(self, container: Container) -> None:
        """The engine drops the older half of a log."""
        thrown_away = len(container.records) // 2
        del container.records[:thrown_away]
        container.thrown_away += thrown_away

    def take_away(self, name: str, by: str) -> None:
        """Remove a container, killing it first if it runs."""
        found = self.find(name)
        if found is None:
            return
        if found.status == "running":
            self._tell(found, "kill", 9)
            self.end(found, KILLED, by)
        self._tell(found, "destroy")
        del self.containers[found.spec.name]
        self.gone.append(found)
        self.news.give()

    def kill(self, container: Container) -> None:
        """Somebody types `docker kill`."""
        self._tell(container, "kill", 9)
        self.end(container, KILLED, "hand")

    def stop_by_hand(self, container: Container) -> None:
        """Somebody types `docker stop`."""
        self.terminate(container.spec.name, 10, "hand")

    def end(self, container: Container, code: int, by: str, *, oom: bool = False) -> None:
        """A container's process is gone."""
        if container.status != "running":
            return
        now_s = self._world.now_s
        container.status, container.exit_code, container.oom = "exited", code, oom
        container.finished_ms = self._world.wall_ms()
        container.truth.ended_s, container.truth.by = now_s, by
        if oom:
            self._tell(container, "oom")
        self._tell(container, "die")
        self._world.say(f"container {container.job_id[:4]} ended by {by}, code {code}")
        self.news.give()

    # What the worker may have it do.

    def image_of(self, reference: str) -> str | None:
        is_here = reference in self.images_here or self.programs[reference].image == "here"
        return "sha256:" + reference[-64:] if is_here else None

    def stored(self, reference: str) -> StoredImage:
        image_id = "sha256:" + reference[-64:]
        in_use = any(each.spec.image_id == image_id for each in self.containers.values())
        return StoredImage(image_id, 1000, in_use, (reference,))

    def remove_image(self, image_id: str) -> bool:
        before = len(self.images_here)
        self.images_here = {each for each in self.images_here if each[-64:] != image_id[-64:]}
        return len(self.images_here) < before

    def pull(self, reference: str) -> str | Failure:
        if self.programs[reference].image == "missing":
            return Failure(Reason.IMAGE_UNAVAILABLE, f"cannot pull {reference}: manifest unknown")
        self.images_here.add(reference)
        return "sha256:" + reference[-64:]

    def create(self, spec: ContainerSpec) -> str:
        if (found := self.containers.get(spec.name)) is not None:
            return found.container_id
        self._made += 1
        job_id = dict(spec.labels)[LABEL_JOB]
        program = next(
            program
            for reference, program in self.programs.items()
            if reference.endswith(spec.image_id.removeprefix("sha256:"))
        )
        self.containers[spec.name] = Container(f"{self._made:064x}", spec, job_id, program)
        return self.containers[spec.name].container_id

    def start(self, container_id: str) -> Failure | None:
        each = self.find(container_id)
        if each is None:
            raise NunetError(f"cannot use Docker: No such container: {container_id}")
        if each.status != "created":
            return None
        if not each.program.starts:
            return Failure(Reason.START_ERROR, "cannot start the job: no such file")
        self.run(each)
        return None

    def run(self, each: Container) -> None:
        """Let a container's program run, from its beginning."""
        each.status, each.started_ms, each.finished_ms = "running", self._world.wall_ms(), None
        each.truth.starts += 1
        each.truth.started_s = self._world.now_s
        each.find_saved()
        self._tell(each, "start")
        self._world.say(f"container {each.job_id[:4]} started")
        self._world.container_started()
        if each.program.fills_disk:
            self._fill(each)
        run = each.truth.starts
        for delay_s, line in each.program.lines:
            self._world.after(delay_s, lambda line=line: self._write(each, run, line))
        for delay_s in each.program.saves:
            self._world.after(delay_s, lambda: self._save(each, run))
        self._world.after(each.program.run_s, lambda: self._finish(each, run))
        if each.spec.deadline is not None:
            after_s = each.program.time_limit_s + DEADLINE_MARGIN_S
            self._world.after(after_s, lambda: self._reach_deadline(each, run))

    def _reach_deadline(self, each: Container, run: int) -> None:
        """The program inside ends the job (engine/deadline.py)."""
        if each.truth.starts != run:
            return
        if each.program.heeds_term:
            self._leave_in_order(each)
            self.end(each, TERMINATED, "deadline")
        else:
            self._world.after(STOP_GRACE_S, lambda: self.end(each, KILLED, "deadline"))

    def _write(self, each: Container, run: int, line: bytes) -> None:
        if each.status != "running" or each.truth.starts != run:
            return
        each.truth.written += line
        record = LogRecord(self._world.wall_ms() * 1_000_000, line)
        (each.unread if self.is_away else each.records).append(record)
        self.news.give()

    def _finish(self, each: Container, run: int) -> None:
        if each.status != "running" or each.truth.starts != run:
            return
        if each.spec.outputs.is_dir() and each.program.exit_code == 0:
            (each.spec.outputs / "result").write_bytes(each.job_id.encode())
        by = "oom" if each.program.oom else "itself"
        self.end(each, each.program.exit_code, by, oom=each.program.oom)

    def _save(self, each: Container, run: int) -> None:
        if each.status == "running" and each.truth.starts == run:
            each.save()

    def _leave_in_order(self, each: Container) -> None:
        """A program that is told to end saves where it stands."""
        if each.status == "running" and each.program.saves:
            each.save()

    def _fill(self, each: Container) -> None:
        if each.spec.outputs.is_dir():
            with (each.spec.outputs / "giant").open("wb") as file:
                file.write(bytes((each.spec.disk_mb << 20) + 4096))

    def facts(self, name: str) -> Facts | None:
        found = self.find(name)
        if found is None:
            return None
        started_ms, finished_ms = found.started_ms, found.finished_ms
        if started_ms is not None and finished_ms is not None:
            started_ms = min(started_ms, finished_ms)
        return Facts(
            container_id=found.container_id,
            status=found.status,
            started_ms=started_ms,
            finished_ms=finished_ms,
            exit_code=found.exit_code,
            oom_killed=found.oom,
            error="",
        )

    def terminate(self, name: str, grace_s: int, by: str) -> None:
        found = self.find(name)
        if found is None or found.status != "running":
            return
        self._tell(found, "kill", 15)
        if found.program.heeds_term:
            self._leave_in_order(found)
            self.end(found, TERMINATED, by)
            self._tell(found, "stop")
        else:
            run = found.truth.starts
            self._world.after(grace_s, lambda: self._kill_after_grace(found, run, by))

    def _kill_after_grace(self, found: Container, run: int, by: str) -> None:
        if found.status == "running" and found.truth.starts == run and not self.is_away:
            self._tell(found, "kill", 9)
            self.end(found, KILLED, by)
            self._tell(found, "stop")

    def usage(self, name: str) -> Usage | None:
        found = self.find(name)
        if found is None or found.status != "running" or found.truth.started_s is None:
            return None
        return Usage(int((self._world.now_s - found.truth.started_s) * 1000), 32)

    def owned(self, node_id: str) -> tuple[Owned, ...]:
        return tuple(
            Owned(each.container_id, name, each.job_id)
            for name, each in self.containers.items()
            if (LABEL_NODE, node_id) in each.spec.labels
        )

    def history(self, name: str) -> History:
        found = self.find(name)
        events = tuple(found.events) if found else ()
        return History(events, is_whole=any(each.action == "start" for each in events))

    def _tell(self, container: Container, action: str, signal: int | None = None) -> None:
        if self.is_away:
            return  # nobody sees it
        container.events.append(EngineEvent(self._world.wall_ms(), action, signal))
