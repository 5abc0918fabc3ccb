"""The report is sealed anew on each try, with the time at which it is sent."""

from dataclasses import replace

from nunet_dms.node import runner
from nunet_dms.node.delivery import deliver
from nunet_dms.node.folder import JobFolder
from nunet_dms.node.oracle_client import OracleClient
from nunet_dms.protocol import strict
from nunet_dms.protocol.report import Report
from nunet_dms.protocol.signing import Domain, Sealed, seal
from tests.simulation.papers import NODE
from tests.simulation.stand_in_oracle import StandInOracle


def stamped(oracle: OracleClient, job_id: str, folder: JobFolder, body: bytes) -> None:
    assert isinstance(oracle, StandInOracle)
    report = strict.decode(Report, strict.decode(Sealed, body).payload)
    report = replace(report, detail=f"sent at {oracle._world.now_s}")
    deliver(oracle, job_id, folder, strict.encode(seal(report, Domain.REPORT, NODE)))


CHANGES = ((runner, "deliver", stamped),)
