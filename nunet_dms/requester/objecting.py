"""A requester's no to a verdict, signed by the wallet that paid."""

from __future__ import annotations

from nunet_dms.cardano.cip8 import sign_message
from nunet_dms.oracle_http import OracleHttp
from nunet_dms.protocol import strict
from nunet_dms.protocol.api import Done
from nunet_dms.protocol.dispute import (
    Decision,
    Grounds,
    SignedObjection,
    WalletSigned,
    objection_payload,
    objection_to,
)
from nunet_dms.requester.wallet import Wallet


def object_to(
    http: OracleHttp, wallet: Wallet, ticket_key: str, given: tuple[str, Grounds], now_s: int
) -> Decision:
    """Object to the verdict on a job; `given` is its id and why. Returns how it stands then.

    Raises RefusedError, code `window_closed` above all.
    """
    job_id, grounds = given
    path = f"/v1/jobs/{job_id}"
    decision = http.call("GET", f"{path}/verdict", None, Decision)
    objection = objection_to(decision, ticket_key, "requester", grounds, now_s)
    text = strict.encode(objection).decode()
    signed = sign_message(wallet.key, wallet.address, objection_payload(text))
    body = SignedObjection(
        requester=WalletSigned(
            text=text, cose_sign1=signed.cose_sign1.hex(), cose_key=signed.cose_key.hex()
        )
    )
    http.call("POST", f"{path}/objection", body, Done)
    return http.call("GET", f"{path}/verdict", None, Decision)
