"""A provider's no to a verdict, sealed with the node's key."""

from __future__ import annotations

from nunet_dms.node.identity import Identity
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.dispute import Decision, Grounds, SignedObjection, objection_to
from nunet_dms.protocol.signing import Domain, seal


def decision_on(http: OracleHttp, job_id: str) -> Decision:
    """Return the verdict on a job as it stands; raises RefusedError `no_verdict`."""
    return http.call("GET", f"/v1/jobs/{job_id}/verdict", None, Decision)


def object_to(
    http: OracleHttp, us: Identity, ticket_key: str, given: tuple[str, Grounds], now_s: int
) -> Decision:
    """Object to the verdict on a job; `given` is its id and why. Returns how it stands then.

    Raises RefusedError, code `window_closed` above all.
    """
    job_id, grounds = given
    objection = objection_to(decision_on(http, job_id), ticket_key, "node", grounds, now_s)
    body = SignedObjection(node=seal(objection, Domain.OBJECTION, us.key))
    http.call("POST", f"/v1/jobs/{job_id}/objection", body, Done)
    return decision_on(http, job_id)
