"""What README.md says is what the code does: the requirements' table, the provider's commands."""

from __future__ import annotations

from pathlib import Path

import pytest

from nunet_dms.cli.main import COMMANDS
from nunet_dms.machine.requirements import REQUIREMENTS, Figure, Profile, show, wanted

README = (Path(__file__).parents[2] / "README.md").read_text()
ROWS = {
    Figure.CPU_MHZ: "CPU",
    Figure.RAM: "RAM",
    Figure.VRAM: "GPU memory (NVIDIA)",
    Figure.DISK: "free disk",
    Figure.DOWN_KBPS: "download",
}


@pytest.mark.parametrize("figure", Figure)
def test_a_row_of_the_requirements_is_the_table_s(figure: Figure) -> None:
    cells = [ROWS[figure]]
    for profile in Profile:
        rows = [r for r in REQUIREMENTS if (r.profile, r.figure) == (profile, figure)]
        cells += [show(figure, rows[0].minimum), wanted(rows[0])] if rows else ["-", "-"]
    assert f"| {' | '.join(cells)} |\n" in README


@pytest.mark.parametrize("entry", COMMANDS, ids=lambda entry: entry.name)
def test_every_command_is_named(entry: object) -> None:
    assert f"nunet {getattr(entry, 'name', '')}" in README
