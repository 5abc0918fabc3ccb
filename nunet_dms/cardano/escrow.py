"""The escrow of a job: a native script whose address commits to the job.

Two of requester, node and Oracle pay it out, or the requester alone once the deadline has
passed. A branch that needs none of its signatures carries the commitment, so that no two jobs
share an address. Native scripts cannot enforce amounts: the two who sign do.
"""

from __future__ import annotations

from dataclasses import dataclass

from nunet_dms.cardano.address import Address, script_address
from nunet_dms.cardano.hashes import KEY_HASH_BYTES, blake2b_224
from nunet_dms.cardano.script import after_slot, all_of, any_of, at_least, script_hash, signature
from nunet_dms.errors import VerificationError

COMMITMENT_DOMAIN = b"nunet-dms/escrow/v1\0"
"""Keeps a commitment from being any other hash of the same bytes."""
SIGNERS_NEEDED = 2
MAX_SLOT = 2**63 - 1
"""Slots are kept as signed 64-bit integers by indexers."""


def commitment_for(job_hash: bytes) -> bytes:
    """Return the 28 bytes by which an escrow's script names its job."""
    return blake2b_224(COMMITMENT_DOMAIN + job_hash)


@dataclass(frozen=True, slots=True)
class EscrowTerms:
    """Who may pay an escrow out and from when the requester may alone; hashes are of keys.

    Raises VerificationError when two parties share a key: one signature would count twice.
    """

    commitment: bytes
    requester: bytes
    node: bytes
    oracle: bytes
    deadline_slot: int
    network_id: int

    def __post_init__(self) -> None:
        """Refuse terms whose script would not do what it says."""
        parties = (self.requester, self.node, self.oracle)
        if any(len(digest) != KEY_HASH_BYTES for digest in (self.commitment, *parties)):
            raise _refused(f"a key hash or the commitment is not {KEY_HASH_BYTES} bytes long")
        if len(set(parties)) != len(parties):
            raise _refused("requester, node and Oracle must have three different keys")
        if not 0 <= self.deadline_slot <= MAX_SLOT:
            raise _refused(f"the deadline is slot {self.deadline_slot}")

    @property
    def script(self) -> bytes:
        """The native script, in the one encoding that the address commits to."""
        parties = [signature(key) for key in (self.requester, self.node, self.oracle)]
        refund = all_of(signature(self.requester), after_slot(self.deadline_slot))
        return all_of(
            at_least(0, signature(self.commitment)),
            any_of(at_least(SIGNERS_NEEDED, *parties), refund),
        )

    @property
    def script_hash(self) -> bytes:
        """The script's 28-byte hash."""
        return script_hash(self.script)

    @property
    def address(self) -> Address:
        """Where the payment goes: an enterprise address, without a stake part."""
        return script_address(self.script_hash, self.network_id)


def _refused(why: str) -> VerificationError:
    return VerificationError("bad_escrow_terms", f"cannot use these escrow terms: {why}")
