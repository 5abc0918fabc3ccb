"""The owner's wishes that jobs be stopped: one empty file each, which the worker looks for."""

from __future__ import annotations

from pathlib import Path

from nunet_dms.wholefile import failing_to


def ask_to_cancel(folder: Path, job_id: str) -> None:
    """Leave a wish, or leave it again; raises NunetError where it cannot be written."""
    wish = folder / job_id
    with failing_to("write", wish):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        wish.touch(mode=0o600)
