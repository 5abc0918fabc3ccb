"""The house of the crash sweep serves here too: one Oracle, one engine, one image."""

from __future__ import annotations

from tests.sweep.conftest import house

__all__ = ["house"]
