"""The historical DMS: whether it is here, and whether it still runs."""

from __future__ import annotations

from nunet_dms.provider.doctor.check import NOTE, WARNING, Check
from nunet_dms.provider.doctor.findings import Answer, fine, note, warning
from nunet_dms.provider.doctor.listeners import Listener
from nunet_dms.provider.doctor.patient import Patient

OLD_PROGRAMS = frozenset({"nunet", "nunet-dms"})
"""What its process is called; ours are Python's."""
WHY = "two of them would sell the same CPU and RAM twice, and both commands are called nunet"


def _installed(patient: Patient) -> Answer:
    old = patient.old_dms
    if old.package:
        return warning(
            f"the historical NuNet DMS is installed: package nunet-dms {old.package}",
            f"{WHY}. To tell them apart: dpkg -s nunet-dms; the old one has an Architecture such"
            " as amd64, ours has: all",
            "sudo systemctl stop nunet-dms, then: sudo apt remove nunet-dms",
        )
    if old.programs:
        return warning(
            f"files of the historical NuNet DMS are here: {', '.join(old.programs)}",
            f"{WHY}. Its programs are compiled or written in bash, ours are run by Python",
            "sudo systemctl disable --now nunet-dms, then: sudo rm " + " ".join(old.programs),
        )
    if old.leftovers:
        return note(
            f"the historical NuNet DMS left: {', '.join(old.leftovers)}",
            "they are not ours, and nothing of ours reads them",
            "sudo mv /etc/nunet /etc/nunet.old",
        )
    return fine("no trace of the historical NuNet DMS")


def _running(patient: Patient) -> Answer:
    listeners = patient.old_dms.listeners
    old = [each for each in listeners if each.program in OLD_PROGRAMS]
    if old:
        return warning(
            f"the historical NuNet DMS runs: {_words(old)}",
            "it takes jobs of its own and the same CPU and RAM; ours never listens on a port",
            "sudo systemctl disable --now nunet-dms",
        )
    if listeners:
        return note(
            f"{_words(list(listeners))}, as the historical NuNet DMS does",
            "other programs use these ports too; ours uses none",
            "sudo ss -lntup",
        )
    return fine("nothing listens on the ports of the historical NuNet DMS")


def _words(listeners: list[Listener]) -> str:
    return "; ".join(
        f"{_process(each)} listens on {each.protocol.upper()} port {each.port}"
        for each in listeners
    )


def _process(listener: Listener) -> str:
    if listener.pid is None:
        return "a process that only root may see"
    return f"{listener.program or 'a process'} ({listener.pid})"


CHECKS = (
    Check("old_dms.installed", _installed, (NOTE, WARNING)),
    Check("old_dms.running", _running, (NOTE, WARNING)),
)
