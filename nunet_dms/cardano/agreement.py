"""From a job request to the escrow and the payout that it stands for.

Node, requester and Oracle each reckon these for themselves: what one of them says is never
taken for granted by the others.
"""

from __future__ import annotations

from nunet_dms.cardano.address import Address, parse_address
from nunet_dms.cardano.escrow import EscrowTerms, commitment_for
from nunet_dms.cardano.settlement import SettlementTerms
from nunet_dms.cardano.transaction import TxInput
from nunet_dms.cardano.value import AssetId
from nunet_dms.errors import VerificationError
from nunet_dms.protocol.quote import JobRequest
from nunet_dms.protocol.report import Verdict


def escrow_terms(request: JobRequest) -> EscrowTerms:
    """Return the escrow that a request's payment goes to; raises VerificationError."""
    requester = _key_address(request.requester, "requester")
    wallet = _key_address(request.provider_wallet, "provider_wallet")
    if wallet.network_id != requester.network_id:
        raise VerificationError(
            "wrong_network", "cannot use this request: its two wallets are of different networks"
        )
    return EscrowTerms(
        commitment=commitment_for(bytes.fromhex(request.digest)),
        requester=requester.payment_hash,
        node=bytes.fromhex(request.node_key_hash),
        oracle=bytes.fromhex(request.oracle_key_hash),
        deadline_slot=request.deadline_slot,
        network_id=requester.network_id,
    )


def asset_of(request: JobRequest) -> AssetId:
    """Return the token that a request is paid in."""
    return AssetId(bytes.fromhex(request.token_policy), bytes.fromhex(request.token_name))


def settlement_terms(request: JobRequest, escrow_ref: TxInput, verdict: Verdict) -> SettlementTerms:
    """Return what a verdict's payout must be; raises VerificationError if its sum is off."""
    if (
        verdict.job_id != request.job_id
        or verdict.price != request.price
        or verdict.provider_amount + verdict.requester_amount != request.price
    ):
        raise VerificationError(
            "wrong_verdict", "cannot use this verdict: it does not divide this job's price"
        )
    return SettlementTerms(
        escrow_ref=escrow_ref,
        escrow=escrow_terms(request),
        asset=asset_of(request),
        provider_address=parse_address(request.provider_wallet),
        provider_amount=verdict.provider_amount,
        requester_address=parse_address(request.requester),
        requester_amount=verdict.requester_amount,
    )


def _key_address(text: str, where: str) -> Address:
    address = parse_address(text)
    if address.payment_is_script:
        raise VerificationError(
            "script_wallet", f"cannot use {text}: a script cannot sign for a job", where=where
        )
    return address
