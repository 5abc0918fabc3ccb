"""Where the power comes from."""

from __future__ import annotations

from pathlib import Path

from nunet_dms.machine.kernelfile import names_in, read_line

FOLDER = "sys/class/power_supply"
CHARGERS = frozenset({"Mains", "USB", "Wireless"})


def on_battery(root: Path = Path("/")) -> bool | None:
    """Tell whether the machine runs off its battery; None where there is no battery to run off.

    A charger that is online decides; without one, a battery that discharges, or chargers that are
    all offline. Batteries of a mouse or a headset do not count.
    Source: Documentation/ABI/testing/sysfs-class-power of the kernel.
    """
    chargers_online, battery_states = [], []
    for name in names_in(root / FOLDER):
        supply = root / FOLDER / name
        kind = read_line(supply / "type")
        if kind in CHARGERS:
            chargers_online.append(read_line(supply / "online") not in {"", "0"})
        elif kind == "Battery" and read_line(supply / "scope") != "Device":
            battery_states.append(read_line(supply / "status"))
    if not battery_states:
        return None
    if any(chargers_online):
        return False
    return bool(chargers_online) or "Discharging" in battery_states
