"""A start is asked for whatever state the container is in: one that has ended runs again."""

from tests.simulation.daemon import Daemon

PLAIN = Daemon.start


def start(self: Daemon, container_id: str) -> object:
    found = self.find(container_id)
    if found is not None and found.status == "exited":
        self.run(found)
        return None
    return PLAIN(self, container_id)


CHANGES = ((Daemon, "start", start),)
