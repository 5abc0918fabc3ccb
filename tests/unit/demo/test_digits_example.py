"""The demo's job: its data, its honesty about the held-out images, its picture."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import random
import re
import struct
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "digits"


@pytest.fixture(scope="module")
def digits() -> ModuleType:
    """examples/digits/train.py, which is a program and belongs to no package."""
    spec = importlib.util.spec_from_file_location("digits_train", EXAMPLE / "train.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_data_is_the_file_that_the_readme_names() -> None:
    digest = hashlib.sha256((EXAMPLE / "digits.csv.gz").read_bytes()).hexdigest()
    assert digest in (EXAMPLE / "README.md").read_text()


def test_job_toml_lists_exactly_what_the_program_reads() -> None:
    text = (EXAMPLE / "job.toml").read_text()
    listed = re.search(r"^inputs = (.*)$", text, re.MULTILINE)
    assert listed is not None
    names = json.loads(listed[1])
    assert names == ["train.py", "digits.csv.gz"]
    assert all((EXAMPLE / name).is_file() for name in names)


def test_the_program_needs_nothing_but_the_standard_library() -> None:
    source = (EXAMPLE / "train.py").read_text()
    imported = set(re.findall(r"^(?:import|from) (\w+)", source, re.MULTILINE))
    assert imported <= sys.stdlib_module_names


def test_every_image_is_in_exactly_one_part(digits: ModuleType) -> None:
    images = digits.read_images(EXAMPLE / "digits.csv.gz")
    numbered = [digits.Image([float(place)], image.digit) for place, image in enumerate(images)]
    train, validation, test = digits.split(numbered)
    assert (len(train), len(validation), len(test)) == (1258, 180, 359)
    assert sorted([*train, *validation, *test]) == numbered


def test_the_split_is_the_same_each_time(digits: ModuleType) -> None:
    images = digits.read_images(EXAMPLE / "digits.csv.gz")
    assert digits.split(images) == digits.split(list(images))


def test_each_digit_is_held_out_at_least_twenty_times(digits: ModuleType) -> None:
    held_out = digits.split(digits.read_images(EXAMPLE / "digits.csv.gz"))[2]
    counts = [sum(image.digit == digit for image in held_out) for digit in range(10)]
    assert min(counts) >= 20


def test_learning_an_image_makes_it_likelier(digits: ModuleType) -> None:
    network = digits.new_network(random.Random(1))
    image = digits.read_images(EXAMPLE / "digits.csv.gz")[0]
    first = digits.learn(network, image, 0.1)
    assert digits.learn(network, image, 0.1) < first


def test_a_training_that_was_cut_off_goes_on_to_the_very_same_network(
    digits: ModuleType, tmp_path: Path
) -> None:
    images = digits.read_images(EXAMPLE / "digits.csv.gz")[:50]
    whole = digits.begin(None)
    for _ in range(3):
        digits.train_one_epoch(whole.network, images, 0.06, whole.rng)
    first = digits.begin(tmp_path)
    digits.train_one_epoch(first.network, images, 0.06, first.rng)
    first.epochs.append({"epoch": 1})
    digits.save(first, tmp_path)
    second = digits.begin(tmp_path)
    for _ in range(2):
        digits.train_one_epoch(second.network, images, 0.06, second.rng)
    assert (second.network, second.epochs) == (whole.network, [{"epoch": 1}])
    assert [path.name for path in tmp_path.iterdir()] == ["training.json"]


def test_accuracy_is_the_share_on_the_diagonal(digits: ModuleType) -> None:
    matrix = [[0] * 10 for _ in range(10)]
    matrix[3][3], matrix[4][4], matrix[4][9] = 2, 1, 1
    assert digits.accuracy(matrix) == 0.75


def chunks(png: bytes) -> dict[bytes, bytes]:
    """Split a PNG into its chunks, checking every checksum."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, place = {}, 8
    while place < len(png):
        (length,) = struct.unpack_from(">I", png, place)
        kind, body = png[place + 4 : place + 8], png[place + 8 : place + 8 + length]
        (check,) = struct.unpack_from(">I", png, place + 8 + length)
        assert check == zlib.crc32(kind + body)
        found[kind] = body
        place += 12 + length
    return found


def test_the_picture_is_a_png_with_a_blue_diagonal_and_an_orange_miss(digits: ModuleType) -> None:
    matrix = [[20 if row == column else 0 for column in range(10)] for row in range(10)]
    matrix[4][9] = 3
    parts = chunks(digits.draw(matrix).png())
    width, height, depth, colour = struct.unpack_from(">IIBB", parts[b"IHDR"])
    assert (depth, colour) == (8, 2)
    pixels = zlib.decompress(parts[b"IDAT"])
    assert len(pixels) == height * (1 + 3 * width)

    def corner(row: int, column: int) -> tuple[int, ...]:
        left, top = (digits.MARGIN + digits.CELL * place + 2 for place in (column, row))
        start = top * (1 + 3 * width) + 1 + 3 * left
        return tuple(pixels[start : start + 3])

    red, _, blue = corner(0, 0)
    assert blue > 2 * red
    red, _, blue = corner(4, 9)
    assert red > blue
    assert corner(0, 9) == (238, 238, 238)


def test_every_letter_of_the_picture_has_a_glyph(digits: ModuleType) -> None:
    perfect = [[36 if row == column else 0 for column in range(10)] for row in range(10)]
    assert digits.draw(perfect).width > 0
    assert len(set(digits.FONT.values())) == len(digits.FONT)
