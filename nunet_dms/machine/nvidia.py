"""NVIDIA's GPUs: what their library tells, completed by what the kernel shows of the cards."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nunet_dms.machine.gpu import Gpu, GpuFacts, GpuHealth
from nunet_dms.machine.kernelfile import names_in, read_text
from nunet_dms.machine.nvml_process import WSL_LIBRARIES, NvmlAnswer, ask_nvml
from nunet_dms.machine.pci import NVIDIA, PASSED_THROUGH, PciCard, display_cards
from nunet_dms.machine.xid import NEED_RESET, OFF_THE_BUS, read_xids

DRIVER = "nvidia"
NAME_MAX_BYTES = 256
"""Of /proc/<pid>/comm, which has 16 at most."""

# nvml.h, nvmlReturn_t. Not from pynvml: it takes 30 ms to load, and is not needed in this process.
NO_PERMISSION = 4
DRIVER_NOT_LOADED = 9
LIBRARY_NOT_FOUND = 12
VERSION_MISMATCH = 18

INSTALL = "install it (Ubuntu: sudo ubuntu-drivers install; Debian: sudo apt install nvidia-driver)"
CURES = {
    NO_PERMISSION: "this user may not talk to the driver: see ls -l /dev/nvidia*, and add the user"
    " to the group that may (often: sudo usermod -aG video USER, then log in again)",
    DRIVER_NOT_LOADED: "its kernel module is not loaded: type: sudo modprobe nvidia (if that says"
    " that the key was rejected, Secure Boot wants the module signed)",
    LIBRARY_NOT_FOUND: f"no NVIDIA driver is installed: {INSTALL}, then reboot",
    VERSION_MISMATCH: "its kernel module{kernel} is of another version than its library, as after"
    " an update: reboot",
}

_MODEL = re.compile(r"^Model:[ \t]+(\S.*)$", re.MULTILINE)
_UUID = re.compile(r"^GPU UUID:[ \t]+(GPU-[0-9a-f-]+)\s*$", re.MULTILINE)


def read_nvidia(root: Path) -> GpuFacts:
    """Return NVIDIA's GPUs and what hinders them; raises nothing.

    A machine without a sign of such a card has none, and that is no problem.
    """
    cards = display_cards(root, NVIDIA)
    passed = [card for card in cards if card.driver in PASSED_THROUGH]
    kept = [card for card in cards if card not in passed]
    problems = [_passed_through(card) for card in passed]
    if not kept and not _driver_shows(root):
        return GpuFacts((), tuple(problems))
    answer = ask_nvml(root)
    gpus = _complete(root, answer.gpus)
    refusal = _refusal(root, answer, kept)
    problems += filter(None, (refusal, _failure(answer)))
    if len(gpus) == answer.count:
        problems += [_not_listed(card) for card in _unlisted(kept, gpus)]
    return GpuFacts(gpus, tuple(problems))


def _driver_shows(root: Path) -> bool:
    """Say whether there is a sign of the driver though no card shows, as in WSL 2."""
    if names_in(root / "proc/driver/nvidia"):
        return True
    return any(
        name in {"nvidiactl", "libnvidia-ml.so.1"}
        for folder in (root / "dev", root / WSL_LIBRARIES)
        for name in names_in(folder)
    )


def _refusal(root: Path, answer: NvmlAnswer, cards: Sequence[PciCard]) -> str:
    """Say why NVML could not be opened, and the cure; empty if it could."""
    if not answer.error:
        return ""
    version = read_text(root / "sys/module/nvidia/version", NAME_MAX_BYTES).strip()
    why = CURES.get(answer.error, "NVML says: {text} (code {code}); see: sudo dmesg | grep NVRM")
    why = why.format(
        kernel=f" ({version})" if version else "", text=answer.error_text, code=answer.error
    )
    others = sorted({card.driver for card in cards if card.driver not in {"", DRIVER}})
    instead = f" ({', '.join(others)} drives it now)" if others else ""
    what = ", ".join(card.text for card in cards)
    return (
        f"cannot use the NVIDIA card {what}{instead}: {why}"
        if what
        else (f"cannot ask the NVIDIA driver: {why}")
    )


def _failure(answer: NvmlAnswer) -> str:
    """Say why the answer is not whole, and which GPU is missing from it; empty if it is."""
    if not answer.failure:
        return ""
    hidden = ""
    if answer.count is not None and len(answer.gpus) < answer.count:
        hidden = f" about GPU {len(answer.gpus)} (of {answer.count}, from 0)"
    return (
        f"cannot ask the NVIDIA driver{hidden}: {answer.failure};"
        " see: sudo dmesg | grep NVRM, and reboot if nvidia-smi does not answer either"
    )


def _passed_through(card: PciCard) -> str:
    return (
        f"cannot use the NVIDIA card {card.text}: {card.driver} keeps it for virtual machines;"
        " if it is to work here, let the nvidia driver have it"
    )


def _unlisted(cards: Sequence[PciCard], gpus: Sequence[Gpu]) -> list[PciCard]:
    """Return the cards that NVML does not list; one that it lists without an address may be any
    that the driver has."""
    listed = {gpu.pci for gpu in gpus}
    return [
        card
        for card in cards
        if card.address not in listed and not ("" in listed and card.driver == DRIVER)
    ]


def _not_listed(card: PciCard) -> str:
    """Say why a card on the bus is unknown to an NVML that works."""
    if not card.driver:
        why = "it has no driver: the one that is installed may be too new or too old for it"
    elif card.driver != DRIVER:
        why = f"{card.driver} drives it: give it to the nvidia driver, then reboot"
    else:
        why = "its driver could not start it: see sudo dmesg | grep NVRM"
    return f"cannot use the NVIDIA card {card.text}: {why}"


def _complete(root: Path, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """Add what the kernel knows: names of processes and of lost cards, logged faults."""
    xids = read_xids(root) if gpus else None
    return tuple(
        _with_xids(_with_process_names(root, gpu), xids) for gpu in _identified(root, gpus)
    )


def _identified(root: Path, gpus: Sequence[Gpu]) -> list[Gpu]:
    """Give the cards that NVML could not name the addresses that it told for no other.

    Both are in the order of the addresses; unless there are as many of the one as of the other,
    nobody knows which is which.
    """
    told = {gpu.pci for gpu in gpus}
    cards = root / "proc/driver/nvidia/gpus"
    folders = [cards / address for address in names_in(cards) if address not in told]
    nameless = [gpu.index for gpu in gpus if not gpu.pci]
    if len(folders) != len(nameless):
        return list(gpus)
    found = dict(zip(nameless, folders, strict=True))
    return [_named(gpu, found[gpu.index]) if gpu.index in found else gpu for gpu in gpus]


def _named(gpu: Gpu, folder: Path) -> Gpu:
    """Return a GPU with what its driver shows in /proc/driver/nvidia/gpus/<address>."""
    text = read_text(folder / "information")
    model, uuid = _MODEL.search(text), _UUID.search(text)
    return dataclasses.replace(
        gpu,
        pci=folder.name,
        name=gpu.name or (model[1].strip() if model else ""),
        uuid=gpu.uuid or (uuid[1] if uuid else ""),
    )


def _with_process_names(root: Path, gpu: Gpu) -> Gpu:
    if not gpu.processes:
        return gpu
    named = (
        dataclasses.replace(
            each, name=read_text(root / f"proc/{each.pid}/comm", NAME_MAX_BYTES).rstrip("\n")
        )
        for each in gpu.processes
    )
    return dataclasses.replace(gpu, processes=tuple(named))


def _with_xids(gpu: Gpu, xids: Mapping[str, tuple[int, ...]] | None) -> Gpu:
    """Add the logged faults; those that only a reset cures make the health worse."""
    if xids is None or not gpu.pci:
        return gpu
    numbers = xids.get(gpu.pci.partition(".")[0], ())
    grave = ", ".join(str(number) for number in numbers if number in NEED_RESET)
    if not grave:
        return dataclasses.replace(gpu, xids=numbers)
    fault = f"its driver logged XID {grave} since the machine started: reboot"
    gone = gpu.health is GpuHealth.UNKNOWN and OFF_THE_BUS in numbers
    health = GpuHealth.LOST if gone or gpu.health is GpuHealth.LOST else GpuHealth.DEGRADED
    return dataclasses.replace(gpu, xids=numbers, health=health, faults=(*gpu.faults, fault))
