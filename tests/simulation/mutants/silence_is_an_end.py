"""An engine that does not answer a wait is taken for a job that has ended."""

from nunet_dms.errors import EngineUnreachableError
from tests.simulation.stand_in_engine import StandInEngine

PLAIN = StandInEngine.facts


def facts(self: StandInEngine, name: str) -> object:
    try:
        return PLAIN(self, name)
    except EngineUnreachableError:
        return None


CHANGES = ((StandInEngine, "facts", facts),)
