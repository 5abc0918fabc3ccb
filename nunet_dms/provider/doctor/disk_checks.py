"""Disk: where jobs live, and where the engine keeps images."""

from __future__ import annotations

from nunet_dms.errors import ExitCode
from nunet_dms.node.availability import DISK_FLOOR_MB
from nunet_dms.protocol.machine import DISK_LOW_MB
from nunet_dms.provider.doctor.check import ERROR, NOTE, WARNING, Check, engine_answers
from nunet_dms.provider.doctor.findings import Answer, error, fine, note, warning
from nunet_dms.provider.doctor.patient import Patient

WHY_JOBS = f"jobs keep inputs and results there; below {DISK_FLOOR_MB} MB no new ones are taken"
WHY_IMAGES = "a job's image is kept there, often some gigabytes; without room it cannot be pulled"
FREE_IMAGES = "docker image prune, docker system df"


def _jobs(patient: Patient) -> Answer:
    place = str(patient.where.jobs_dir)
    return _judge(
        patient.found.disk.free_mb, f"where jobs live ({place})", WHY_JOBS, f"df -h {place}"
    )


def _images(patient: Patient) -> Answer:
    place = patient.found.engine.root_dir or "the engine's folder"
    where = f"where Docker keeps images ({place})"
    return _judge(patient.images_disk.free_mb, where, WHY_IMAGES, FREE_IMAGES)


def _judge(free_mb: int | None, where: str, why: str, cure: str) -> Answer:
    if free_mb is None:
        return note(f"how much disk is free {where} cannot be told", why, cure)
    found = f"{free_mb} MB of disk are free {where}"
    if free_mb < DISK_FLOOR_MB:
        return error(found, why, f"free some: {cure}", ExitCode.NO_CAPACITY)
    if free_mb < DISK_LOW_MB:
        return warning(found, why, f"free some: {cure}")
    return fine(found)


CHECKS = (
    Check("disk.jobs", _jobs, (NOTE, WARNING, ERROR)),
    Check("disk.images", _images, (NOTE, WARNING, ERROR), engine_answers),
)
