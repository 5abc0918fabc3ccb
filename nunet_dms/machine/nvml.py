"""NVIDIA's GPUs as their driver's library (NVML) tells of them: a program of its own.

`python -m nunet_dms.machine.nvml` writes lines of JSON: how many GPUs there are, then one line for
each, or the code with which NVML refused. It is a process apart, because a sick GPU lets a call
hang in the kernel where no signal reaches it: a thread that hangs so would keep the worker's lock
for as long. Source: NVML API reference; every call may fail with a code of its own.
"""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import pynvml

from nunet_dms.machine.gpu import Gpu, GpuHealth, GpuProcess, MigInstance

MIB = 1024 * 1024
MILLIWATTS_PER_WATT = 1000

HARMLESS = frozenset(
    {
        pynvml.NVML_ERROR_INVALID_ARGUMENT,
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_NOT_FOUND,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_DATA,
        pynvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH,
        pynvml.NVML_ERROR_DEPRECATED,
    }
)
"""Codes that say something of the question or of the card's kind, and nothing of its health."""

FAULTS = {
    pynvml.NVML_ERROR_TIMEOUT: "it did not answer its driver in time: reboot",
    pynvml.NVML_ERROR_IRQ_ISSUE: "its interrupts do not arrive: see sudo dmesg | grep NVRM",
    pynvml.NVML_ERROR_CORRUPTED_INFOROM: "its own store of settings (infoROM) is damaged: reboot,"
    " and if that does not help ask the vendor",
    pynvml.NVML_ERROR_RESET_REQUIRED: "it must be reset: {reset}",
}
LOST = "it fell off the bus: reboot; if it happens again look at its power, heat and slot"

Answer = TypeVar("Answer")


class Questions:
    """Puts questions to NVML about one GPU, and keeps the codes of those that failed."""

    def __init__(self) -> None:
        self.codes: set[int] = set()

    def ask(self, call: Callable[..., Answer], *arguments: object) -> Answer | None:
        """Return NVML's answer; None if there is none, or if the GPU is known to be lost."""
        if pynvml.NVML_ERROR_GPU_IS_LOST in self.codes:
            return None
        try:
            return call(*arguments)
        except pynvml.NVMLError as error:
            self.codes.add(error.value)
        except UnicodeDecodeError:  # pynvml decodes what the driver wrote
            self.codes.add(pynvml.NVML_ERROR_UNKNOWN)
        return None


def main() -> None:
    """Write what NVML tells on stdout, a line at a time, so that a hang hides no earlier GPU."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        _write({"error": error.value, "text": str(error)})
        return
    try:
        driver = Questions().ask(pynvml.nvmlSystemGetDriverVersion) or ""
        count = pynvml.nvmlDeviceGetCount()
        _write({"count": count})
        for index in range(count):
            _write({"gpu": dataclasses.asdict(read_gpu(index, driver))})
    except pynvml.NVMLError as error:
        _write({"error": error.value, "text": str(error)})
    finally:
        Questions().ask(pynvml.nvmlShutdown)


def read_gpu(index: int, driver: str) -> Gpu:
    """Return what NVML tells of one GPU; what it does not tell is None, and its health says why."""
    questions = Questions()
    handle = questions.ask(pynvml.nvmlDeviceGetHandleByIndex, index)
    if handle is None:
        health, faults = judge(questions.codes, harmless=frozenset(), faults=(), index=index)
        return Gpu(vendor="nvidia", index=index, driver=driver, health=health, faults=faults)
    ask = questions.ask
    name = ask(pynvml.nvmlDeviceGetName, handle)  # what it is first: told even if it is just lost
    uuid = ask(pynvml.nvmlDeviceGetUUID, handle)
    bus = ask(_bus, handle)
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    load = ask(pynvml.nvmlDeviceGetUtilizationRates, handle)
    power_mw = ask(pynvml.nvmlDeviceGetPowerUsage, handle)
    mig_mode = ask(pynvml.nvmlDeviceGetMigMode, handle)
    mig_handles = _mig_handles(ask, handle) if mig_mode and mig_mode[0] else []
    gpu = Gpu(
        vendor="nvidia",
        index=index,
        name=name or "",
        uuid=uuid or "",
        pci=pci_address(bus or ""),
        driver=driver,
        vram_mb=None if memory is None else memory.total // MIB,
        free_vram_mb=None if memory is None else memory.free // MIB,
        utilization_percent=load.gpu if load is not None and load.gpu <= 100 else None,
        temperature_c=ask(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU),
        power_w=None if power_mw is None else round(power_mw / MILLIWATTS_PER_WATT),
        mig_enabled=bool(mig_mode and mig_mode[0]),
        mig=tuple(_mig_instance(ask, part) for part in mig_handles),
        processes=_processes(ask, [handle, *mig_handles]),
    )
    memory_faults = _memory_faults(ask, handle, index)
    health, faults = judge(questions.codes, harmless=HARMLESS, faults=memory_faults, index=index)
    return dataclasses.replace(gpu, health=health, faults=faults)


def judge(
    codes: set[int], *, harmless: frozenset[int], faults: tuple[str, ...], index: int
) -> tuple[GpuHealth, tuple[str, ...]]:
    """Return the health and why, from the codes of what failed and the faults that were told."""
    if pynvml.NVML_ERROR_GPU_IS_LOST in codes:
        return GpuHealth.LOST, (LOST,)
    told = tuple(text.format(reset=_reset(index)) for code, text in FAULTS.items() if code in codes)
    if told or faults:
        return GpuHealth.DEGRADED, told + faults
    strange = sorted(codes - harmless)
    if strange:
        words = ", ".join(f"{pynvml.NVMLError(code)} (NVML {code})" for code in strange)
        return GpuHealth.UNKNOWN, (f"it could not be asked: {words}",)
    return GpuHealth.OK, ()


def _memory_faults(ask: Any, handle: Any, index: int) -> tuple[str, ...]:
    """Return what NVML tells of broken memory (NVIDIA: GPU memory error management).

    Errors of the card's whole life are no fault by themselves: their cells were replaced.
    """
    faults = []
    modes = ask(pynvml.nvmlDeviceGetEccMode, handle)
    if modes and modes[0]:
        of = (pynvml.nvmlDeviceGetTotalEccErrors, handle, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED)
        recent = ask(*of, pynvml.NVML_VOLATILE_ECC)
        if recent:
            ever = ask(*of, pynvml.NVML_AGGREGATE_ECC)
            life = "" if ever is None else f" ({ever} in its life)"
            faults.append(
                f"{recent} uncorrectable memory errors since its driver was loaded{life}:"
                f" {_reset(index)}"
            )
    rows = ask(pynvml.nvmlDeviceGetRemappedRows, handle)
    if rows:
        _, _, waits, failed = rows
        if failed:
            faults.append("broken memory could not be replaced (row remapping failed): exchange it")
        if waits:
            faults.append(f"broken memory waits to be replaced (row remapping): {_reset(index)}")
    if ask(pynvml.nvmlDeviceGetRetiredPagesPendingStatus, handle):
        faults.append(f"broken memory waits to be taken out (page retirement): {_reset(index)}")
    return tuple(faults)


def _reset(index: int) -> str:
    return f"type: sudo nvidia-smi --gpu-reset -i {index}, or reboot"


def _mig_handles(ask: Any, handle: Any) -> list[Any]:
    """Return the handles of the instances; their numbers may have gaps."""
    most = ask(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found = (ask(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, each) for each in range(most))
    return [each for each in found if each is not None]


def _mig_instance(ask: Any, handle: Any) -> MigInstance:
    memory = ask(pynvml.nvmlDeviceGetMemoryInfo, handle)
    return MigInstance(
        uuid=ask(pynvml.nvmlDeviceGetUUID, handle) or "",
        name=ask(pynvml.nvmlDeviceGetName, handle) or "",
        vram_mb=None if memory is None else memory.total // MIB,
    )


def _processes(ask: Any, handles: list[Any]) -> tuple[GpuProcess, ...] | None:
    """Return who uses a card and its instances, each process once; None if NVML does not tell.

    Their names are left to whoever can see their /proc.
    """
    used_mb: dict[int, int | None] = {}
    known = False
    calls = (
        pynvml.nvmlDeviceGetComputeRunningProcesses,
        pynvml.nvmlDeviceGetGraphicsRunningProcesses,
    )
    for listed in (ask(call, handle) for handle in handles for call in calls):
        known = known or listed is not None
        for each in listed or ():
            used = None if each.usedGpuMemory is None else each.usedGpuMemory // MIB
            if used_mb.get(each.pid) is None or (used or 0) > (used_mb[each.pid] or 0):
                used_mb[each.pid] = used
    return tuple(GpuProcess(pid, "", mb) for pid, mb in sorted(used_mb.items())) if known else None


def _bus(handle: Any) -> str:
    return str(pynvml.nvmlDeviceGetPciInfo(handle).busId)


def pci_address(bus: str) -> str:
    """Return NVML's `00000000:41:00.0` as sysfs writes it, `0000:41:00.0`; empty if it is none."""
    found = re.fullmatch(r"([0-9a-f]{1,8}):([0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", bus.lower())
    return f"{int(found[1], 16):04x}:{found[2]}" if found else ""


def _write(line: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
