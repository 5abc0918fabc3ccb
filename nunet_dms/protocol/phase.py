"""What a job that a node has taken is at just now."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nunet_dms.protocol.bounds import Hex16, Range

PhaseName = Literal["pulling", "preparing", "running"]
Bytes = Annotated[int, Range(0, 2**50)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Its image is being fetched, its inputs and container are made, or it runs."""

    name: PhaseName
    done_bytes: Bytes = 0
    """Of the image; a total of 0 is not known yet."""
    total_bytes: Bytes = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """The phase of one job."""

    job_id: Hex16
    phase: Phase
