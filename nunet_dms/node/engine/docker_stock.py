"""What a Docker daemon keeps: images, and the volumes and networks that carry our labels.

Nothing here decides what goes (`node.housekeeping` does), and nothing is ever forced: what Docker
says is in use stays. Docker Engine API 1.41.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, NotFound

from nunet_dms.node.engine.profile import LABEL_JOB, LABEL_NODE
from nunet_dms.node.engine.types import Labelled, StoredImage

NO_NAME = "<none>"
"""Docker's word for a part of a reference that an image does not have."""
IN_USE = frozenset({403, 409})
"""Answers for what something uses; 403 for a network that has containers."""


def data_root(client: docker.DockerClient) -> Path:
    """Return the daemon's folder; on its own machine, which need not be ours (`GET /info`)."""
    return Path(client.info()["DockerRootDir"])


def images(client: docker.DockerClient) -> tuple[StoredImage, ...]:
    """Return all images but the unnamed steps of somebody's builds (`GET /images/json`)."""
    used = {each["ImageID"] for each in client.api.containers(all=True)}
    return tuple(
        StoredImage(each["Id"], each["Size"], each["Id"] in used, _references(each))
        for each in client.api.images()
    )


def remove_image(client: docker.DockerClient, image_id: str) -> bool:
    """Take the image's only reference, if that is a digest, and with it the image.

    By its reference, not by its id: should somebody tag the image just now, Docker takes our
    reference away and keeps the image.
    """
    try:
        known = _references(client.images.get(image_id).attrs)
        if len(known) != 1 or "@" not in known[0]:
            return False
        done = client.api.remove_image(known[0], force=False, noprune=True)
    except NotFound:
        return False
    except APIError as error:
        return _in_use(error)
    return any("Deleted" in each for each in done)


def labelled(client: docker.DockerClient, node_id: str) -> tuple[Labelled, ...]:
    """List by label; none but ours are asked for."""
    ours = {"label": f"{LABEL_NODE}={node_id}"}
    volumes = client.api.volumes(filters=ours).get("Volumes") or ()
    return (
        *(Labelled("volume", each["Name"], _job_of(each)) for each in volumes),
        *(
            Labelled("network", each["Id"], _job_of(each))
            for each in client.api.networks(filters=ours)
        ),
    )


def remove_labelled(client: docker.DockerClient, thing: Labelled) -> bool:
    """Remove a volume or a network that nothing uses."""
    remove = client.api.remove_volume if thing.kind == "volume" else client.api.remove_network
    try:
        remove(thing.name)
    except NotFound:
        return False
    except APIError as error:
        return _in_use(error)
    return True


def _in_use(error: APIError) -> bool:
    """Return False for what is in use; raises the error otherwise."""
    if error.status_code not in IN_USE:
        raise error
    return False


def _references(known: dict[str, Any]) -> tuple[str, ...]:
    named = (*(known.get("RepoTags") or ()), *(known.get("RepoDigests") or ()))
    return tuple(each for each in named if NO_NAME not in each)


def _job_of(known: dict[str, Any]) -> str:
    return str((known.get("Labels") or {}).get(LABEL_JOB, ""))
