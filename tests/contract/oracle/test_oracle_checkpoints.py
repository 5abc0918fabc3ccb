"""Checkpoints at the Oracle: only what changed travels, and only what is whole is ever used."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from checkpoint_world import (
    LINUX,
    WSL,
    Saving,
    begin,
    going_on,
    last,
    platform,
    saving_spec,
)
from oracle_world import Node, Requester, World, refused, spec

from nunet_dms.errors import RefusedError, VerificationError
from nunet_dms.oracle import files
from nunet_dms.oracle.registering import LEASE_S
from nunet_dms.protocol.checkpoint import open_checkpoint, seal_checkpoint
from nunet_dms.protocol.job import Manifest
from nunet_dms.protocol.keys import SigningKey
from nunet_dms.protocol.report import Reason
from nunet_dms.protocol.submission import CheckpointView, JobState

FIRST = {"state.json": b"epoch 1", "data/table": b"never changes"}
SECOND = FIRST | {"state.json": b"epoch 2"}


@pytest.fixture
def node(world: World) -> Node:
    """A node on Linux that has told so."""
    made = Node(world)
    made.register(machine=LINUX)
    made.heartbeat()
    return made


@pytest.fixture
def saving(world: World, requester: Requester, node: Node) -> Saving:
    """A running job with a checkpoint folder."""
    return begin(world, requester, node)


def quote_fails(requester: Requester, job: object, code: str) -> str:
    with pytest.raises(RefusedError) as caught:
        requester.quote(job)  # type: ignore[arg-type]
    assert caught.value.code == code, str(caught.value)
    return str(caught.value)


def test_only_what_changed_is_uploaded_and_the_last_whole_one_is_shown(
    saving: Saving, requester: Requester, world: World
) -> None:
    assert requester.job(saving.job_id).checkpoint is None
    saving.save(1, FIRST)
    assert saving.uploads == 2
    world.step(10)
    sealed = saving.save(2, SECOND)
    assert saving.uploads == 3
    shown = requester.job(saving.job_id).checkpoint
    size = sum(map(len, SECOND.values()))
    assert shown == CheckpointView(number=2, taken_ms=int(world.clock() * 1000), size_bytes=size)
    assert last(requester, saving.job_id) == sealed
    assert saving.announce(sealed) == ()


def test_an_interrupted_one_never_replaces_a_whole_one(
    saving: Saving, requester: Requester
) -> None:
    whole = saving.save(1, FIRST)
    half = seal_checkpoint(saving.manifest(2, {"a": b"new", "b": b"new too"}), saving.node.key)
    assert len(saving.announce(half)) == 2
    saving.upload(b"new")
    assert len(saving.announce(half)) == 1
    assert last(requester, saving.job_id) == whole


def test_a_content_that_is_not_what_was_hashed_never_makes_a_checkpoint_whole(
    saving: Saving, requester: Requester
) -> None:
    sealed = seal_checkpoint(saving.manifest(1, {"state": b"honest"}), saving.node.key)
    (sha256,) = saving.announce(sealed)
    with pytest.raises(RefusedError) as caught:
        saving.node.http.put_bytes(f"/v1/blobs/{sha256}", b"forged")
    assert caught.value.code == "hash_mismatch"
    assert saving.announce(sealed) == (sha256,)
    with pytest.raises(RefusedError) as caught:
        last(requester, saving.job_id)
    assert caught.value.code == "no_checkpoint"


def test_what_no_checkpoint_names_any_more_is_swept_and_what_others_need_is_kept(
    saving: Saving, world: World
) -> None:
    shared = b"a result too"
    saving.save(1, {"old": b"old", "shared": shared, "kept": b"kept"})
    saving.node.put_results(saving.job_id, {"shared": shared})
    before = len(world.blob_files())
    saving.save(2, {"new": b"new", "kept": b"kept"})
    world.step(61)
    assert len(world.blob_files()) == before  # one came, one went
    assert saving.node.put_results(saving.job_id, {"shared": shared})
    saving.end(results_hash=saving.node.put_results(saving.job_id, {"shared": shared}).digest)


def test_a_job_that_lets_go_of_many_files_fills_no_disk(
    saving: Saving, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "SWEPT_AT_ONCE", 2)
    saving.save(1, {str(number): b"first %d" % number for number in range(7)})
    saving.save(2, {"state": b"second"})
    before = len(world.blob_files())
    world.step(61)
    assert before - len(world.blob_files()) == 7


@pytest.mark.parametrize(
    ("number", "changes", "code"),
    [
        (1, {}, "stale_checkpoint"),
        (3, {"files": Manifest(files=saving_spec().inputs.files * 2)}, "malformed"),
        (3, {"job_id": "f" * 32}, "foreign_checkpoint"),
    ],
)
def test_a_checkpoint_out_of_order_or_of_no_tree_or_another_job_is_refused(
    saving: Saving, world: World, number: int, changes: dict[str, object], code: str
) -> None:
    saving.save(2, FIRST)
    manifest = replace(saving.manifest(number, SECOND), **changes)  # type: ignore[arg-type]
    sealed = seal_checkpoint(manifest, saving.node.key)
    with refused(world, code):
        saving.announce(sealed)


def test_a_checkpoint_larger_than_the_jobs_disk_is_refused(saving: Saving, world: World) -> None:
    sealed = seal_checkpoint(saving.manifest(1, {"big": bytes(1024 * 1024 + 1)}), saving.node.key)
    with refused(world, "checkpoint_too_large"):
        saving.announce(sealed)


def test_a_checkpoint_under_another_key_or_of_another_node_is_refused(
    saving: Saving, world: World
) -> None:
    forged = seal_checkpoint(saving.manifest(1, FIRST), SigningKey.generate())
    with refused(world, "foreign_key"):
        saving.announce(forged)
    saving.node = Node(world).online()
    with refused(world, "unknown_job"):
        saving.announce(seal_checkpoint(saving.manifest(1, FIRST), saving.node.key))


def test_a_job_without_a_folder_and_one_that_has_ended_save_nothing(
    world: World, requester: Requester, node: Node
) -> None:
    plain = begin(world, requester, node, spec())
    with refused(world, "no_checkpoint_folder"):
        plain.announce(seal_checkpoint(plain.manifest(1, FIRST), node.key))
    ended = begin(world, requester, node)
    ended.end()
    with refused(world, "not_running"):
        ended.announce(seal_checkpoint(ended.manifest(1, FIRST), node.key))


def test_a_job_goes_on_elsewhere_from_the_oracles_copies_alone(
    saving: Saving, world: World, requester: Requester
) -> None:
    """Its node is gone for good: nothing is uploaded again, and another node reads it all."""
    sealed = saving.save(1, FIRST)
    world.step(LEASE_S + 1)
    assert requester.job(saving.job_id).reason is Reason.NODE_FAULT
    other = Node(world)
    other.register(machine=LINUX, issued_s=int(world.clock()))
    other.heartbeat()
    manifest = open_checkpoint(sealed, saving.job_id, saving.node.node_id)
    job = going_on(sealed, manifest)
    quote = requester.quote(job)
    resumed = requester.submit(requester.submission(quote))  # without any upload
    world.step()
    assert (resumed.job_id == saving.job_id, resumed.node_id) == (False, other.node_id)
    other.take(resumed.job_id)
    for file in (*job.inputs.files, *manifest.files.files):
        to = io.BytesIO()
        other.http.get_bytes(f"/v1/blobs/{file.sha256}", to=to, limit=file.size)
        assert len(to.getvalue()) == file.size
    again = Saving(world, other, resumed.job_id, "")
    third = again.save(1, SECOND)  # a checkpoint of its own, from which a third one can go on
    assert again.uploads == 1  # what it was given to start from does not travel back
    world.step(LEASE_S + 1)
    other.heartbeat()
    manifest = open_checkpoint(third, resumed.job_id, other.node_id)
    assert requester.quote(going_on(third, manifest))


def test_a_checkpoint_begun_on_linux_is_refused_under_wsl_with_that_reason(
    saving: Saving, world: World, requester: Requester
) -> None:
    sealed = saving.save(1, FIRST)
    saving.end()
    saving.node.heartbeat(accepting=False)
    windows = Node(world)
    windows.register(machine=WSL)
    windows.heartbeat()
    job = going_on(sealed, open_checkpoint(sealed, saving.job_id, saving.node.node_id))
    why = quote_fails(requester, job, "platform_mismatch")
    assert "begun on Linux, this node runs under WSL" in why
    missed = {each.reason: each.count for each in windows.heartbeat().missed}
    assert missed == {"platform": 1}
    assert requester.quote().request.node_id == windows.node_id  # a fresh job it may have
    saving.node.heartbeat()
    assert requester.quote(job).request.node_id == saving.node.node_id


@pytest.mark.parametrize(
    ("machine", "why"),
    [
        (replace(LINUX, kernel="5.10.0"), "this node's 5.10.0 is older"),
        (replace(LINUX, cpu_flags=("sse2",)), "lacks avx"),
        (replace(LINUX, architecture="aarch64"), "this node's aarch64"),
        (None, "has not told what it is"),
    ],
)
def test_a_node_that_the_checkpoint_does_not_fit_is_passed_over(
    saving: Saving, world: World, requester: Requester, machine: object, why: str
) -> None:
    sealed = saving.save(1, FIRST)
    saving.end()
    saving.node.heartbeat(accepting=False)
    cheap = Node(world, per_ghz_hour=1)
    cheap.register(machine=machine)
    cheap.heartbeat()
    job = going_on(sealed, open_checkpoint(sealed, saving.job_id, saving.node.node_id))
    assert why in quote_fails(requester, job, "platform_mismatch")
    dear = Node(world)
    dear.register(machine=replace(LINUX, kernel="6.12.1"))
    dear.heartbeat()
    quote = requester.quote(job)
    assert quote.request.node_id == dear.node_id
    with pytest.raises(RefusedError, match="your limit is 0"):
        requester.quote(job, max_price=quote.request.price - 1)
    assert {each.reason for each in cheap.heartbeat().missed} == {"platform"}


def test_only_the_last_whole_checkpoint_of_an_own_ended_job_can_be_resumed(
    saving: Saving, world: World, requester: Requester
) -> None:
    first = saving.save(1, FIRST)
    begun = open_checkpoint(first, saving.job_id, saving.node.node_id)
    quote_fails(requester, going_on(first, begun), "not_ended")
    second = saving.save(2, SECOND)
    saving.end(reason=Reason.TIME_LIMIT)
    assert requester.job(saving.job_id).state is not JobState.RUNNING
    now = open_checkpoint(second, saving.job_id, saving.node.node_id)
    for sealed, manifest, changes in (
        (first, begun, {}),
        (second, now, {"platform": platform(kernel="2.6.0")}),
        (second, now, {"files": begun.files}),
        (second, now, {"number": 7}),
    ):
        quote_fails(requester, going_on(sealed, manifest, **changes), "unknown_checkpoint")
    quote_fails(Requester(world), going_on(second, now), "unknown_job")
    assert requester.quote(going_on(second, now))


def test_a_resumed_job_whose_contents_are_gone_is_not_taken(
    saving: Saving, world: World, requester: Requester
) -> None:
    sealed = saving.save(1, FIRST)
    saving.end()
    manifest = open_checkpoint(sealed, saving.job_id, saving.node.node_id)
    quote = requester.quote(going_on(sealed, manifest))
    for file in manifest.files.files:
        world.oracle.blobs.remove(file.sha256)
    with pytest.raises(VerificationError) as caught:
        requester.submit(requester.submission(quote))
    assert caught.value.code == "inputs_missing"
