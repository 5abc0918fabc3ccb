"""Learn to read handwritten digits with the standard library alone.

Reads `digits.csv.gz` (1,797 real 8x8 images of the UCI set; see README.md) from `NUNET_INPUT_DIR`,
trains a small neural network (64 pixels, one hidden layer, 10 digits) and writes `metrics.json`,
`model.json` and `confusion.png` to `NUNET_OUTPUT_DIR`. A fixed shuffle sets a fifth of the images
apart; they are read once, after the last epoch, and nothing is chosen by them.

After each epoch it saves itself in `NUNET_CHECKPOINT_DIR`, where that is set, and goes on from what
it finds there: to the very same network as if it had never been interrupted.
"""

# ruff: noqa: T201, S311 -- a job talks through its output; a seed is the point, not a secret

from __future__ import annotations

import csv
import gzip
import json
import math
import os
import random
import struct
import time
import zlib
from operator import mul
from pathlib import Path
from typing import NamedTuple

SEED = 20  # one fixed seed: the same program on the same data gives the same network
DIGITS = 10
SIDE = 8  # pixels a side of one image
PIXEL_MAX = 16.0  # the file's grey values go from 0 to 16
HIDDEN = 40  # neurons in the hidden layer
EPOCHS = 20
LEARNING_RATE = 0.06  # at the start; falls along half a cosine to nearly nothing
TEST_SHARE = 0.2  # held out until the end
VALIDATION_SHARE = 0.1  # to watch the training by

CELL = 44  # pixels a side of one cell of the picture
MARGIN = 96  # above and left of the cells
PAPER = (255, 255, 255)
INK = (20, 24, 32)

Vector = list[float]
Colour = tuple[int, ...]


class Image(NamedTuple):
    """One handwritten digit: 64 grey values from 0 to 1, and what its writer meant."""

    pixels: Vector
    digit: int


class Network(NamedTuple):
    """Weights and biases of both layers; trained in place."""

    hidden: list[Vector]
    hidden_bias: Vector
    output: list[Vector]
    output_bias: Vector


class Training(NamedTuple):
    """Where the training stands: all that the next epoch depends on."""

    network: Network
    rng: random.Random
    epochs: list[dict[str, float]]


def main() -> None:
    """Read, train, measure, write."""
    inputs = Path(os.environ.get("NUNET_INPUT_DIR", "."))
    outputs = Path(os.environ.get("NUNET_OUTPUT_DIR", "out"))
    outputs.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()

    train, validation, test = split(read_images(inputs / "digits.csv.gz"))
    print(f"digits: {len(train)} to train, {len(validation)} to watch, {len(test)} held out")
    saves = os.environ.get("NUNET_CHECKPOINT_DIR")
    network, rng, epochs = training = begin(Path(saves) if saves else None)
    for epoch in range(len(epochs) + 1, EPOCHS + 1):
        rate = LEARNING_RATE * (0.51 + 0.49 * math.cos(math.pi * (epoch - 1) / EPOCHS))
        loss = train_one_epoch(network, train, rate, rng)
        seen = accuracy(confusion_matrix(network, validation))
        seconds = time.monotonic() - started
        epochs.append({"epoch": epoch, "loss": round(loss, 4), "validation": round(seen, 4)})
        line = f"epoch {epoch:2}/{EPOCHS}  loss {loss:.4f}  validation {seen:.1%}  {seconds:5.1f} s"
        print(line, flush=True)
        if saves:
            save(training, Path(saves))

    matrix = confusion_matrix(network, test)
    metrics = {
        "accuracy": round(accuracy(matrix), 4),
        "test_images": len(test),
        "train_images": len(train),
        "validation_images": len(validation),
        "seconds": round(time.monotonic() - started, 2),
        "seed": SEED,
        "epochs": epochs,
        "confusion": matrix,
    }
    (outputs / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    (outputs / "model.json").write_text(json.dumps(network._asdict()) + "\n")
    (outputs / "confusion.png").write_bytes(draw(matrix).png())
    print(f"held-out accuracy {metrics['accuracy']:.1%} on {len(test)} images", flush=True)


def read_images(path: Path) -> list[Image]:
    """Read every line of the file: 64 grey values, then the digit."""
    with gzip.open(path, "rt", newline="") as lines:
        rows = [[int(value) for value in row] for row in csv.reader(lines)]
    return [Image([grey / PIXEL_MAX for grey in row[:-1]], row[-1]) for row in rows]


def split(images: list[Image]) -> tuple[list[Image], list[Image], list[Image]]:
    """Shuffle by the fixed seed, then cut into train, validation and test."""
    images = random.Random(SEED).sample(images, len(images))
    test_at = round(len(images) * (1 - TEST_SHARE))
    validation_at = round(len(images) * (1 - TEST_SHARE - VALIDATION_SHARE))
    return images[:validation_at], images[validation_at:test_at], images[test_at:]


def begin(folder: Path | None) -> Training:
    """Return a new training, or the one that was saved in the folder."""
    rng = random.Random(SEED)
    new = Training(new_network(rng), rng, [])
    if folder is None or not (folder / "training.json").exists():
        return new
    saved = json.loads((folder / "training.json").read_text())
    version, numbers, gauss = saved["rng"]
    rng.setstate((version, tuple(numbers), gauss))
    print(f"going on after epoch {len(saved['epochs'])}", flush=True)
    return Training(Network(**saved["network"]), rng, saved["epochs"])


def save(training: Training, folder: Path) -> None:
    """Write under another name, then rename: whoever looks at any time finds a whole file."""
    state = {
        "network": training.network._asdict(),
        "rng": training.rng.getstate(),
        "epochs": training.epochs,
    }
    (folder / "training.part").write_text(json.dumps(state))
    (folder / "training.part").replace(folder / "training.json")


def new_network(rng: random.Random) -> Network:
    """Random weights, scaled by fan-in (He et al., 2015, for rectified neurons)."""

    def layer(rows: int, columns: int) -> list[Vector]:
        spread = math.sqrt(2 / columns)
        return [[rng.gauss(0, spread) for _ in range(columns)] for _ in range(rows)]

    hidden = layer(HIDDEN, SIDE * SIDE)
    return Network(hidden, [0.0] * HIDDEN, layer(DIGITS, HIDDEN), [0.0] * DIGITS)


def train_one_epoch(net: Network, images: list[Image], rate: float, rng: random.Random) -> float:
    """Show every image once, in a new order; return the mean loss."""
    return sum(learn(net, image, rate) for image in rng.sample(images, len(images))) / len(images)


def learn(net: Network, image: Image, rate: float) -> float:
    """One step of gradient descent on one image; return its cross-entropy before the step."""
    hidden, chances = forward(net, image.pixels)
    loss = -math.log(max(chances[image.digit], 1e-12))
    errors = list(chances)
    errors[image.digit] -= 1.0
    # The hidden errors need the output weights as they were, so they come first.
    hidden_errors = [
        sum(map(mul, errors, column)) if active else 0.0
        for active, column in zip(hidden, zip(*net.output))  # noqa: B905 -- same length
    ]
    descend(net.output, net.output_bias, errors, hidden, rate)
    descend(net.hidden, net.hidden_bias, hidden_errors, image.pixels, rate)
    return loss


def forward(net: Network, pixels: Vector) -> tuple[Vector, Vector]:
    """Activations of the hidden layer (rectified), and the chance of each digit (softmax)."""
    hidden = [
        max(0.0, sum(map(mul, weights, pixels)) + bias)
        for weights, bias in zip(net.hidden, net.hidden_bias)  # noqa: B905 -- same length
    ]
    scores = [
        sum(map(mul, weights, hidden)) + bias
        for weights, bias in zip(net.output, net.output_bias)  # noqa: B905 -- same length
    ]
    top = max(scores)
    raised = [math.exp(score - top) for score in scores]
    whole = sum(raised)
    return hidden, [value / whole for value in raised]


def descend(layer: list[Vector], bias: Vector, errors: Vector, inputs: Vector, rate: float) -> None:
    """Move each neuron's weights against its error."""
    for row, error in enumerate(errors):
        step = rate * error
        if step:
            layer[row] = [
                weight - step * value
                for weight, value in zip(layer[row], inputs)  # noqa: B905 -- same length
            ]
            bias[row] -= step


def confusion_matrix(net: Network, images: list[Image]) -> list[list[int]]:
    """Count images by true digit (row) and by the digit that the network reads (column)."""
    matrix = [[0] * DIGITS for _ in range(DIGITS)]
    for pixels, digit in images:
        chances = forward(net, pixels)[1]
        matrix[digit][chances.index(max(chances))] += 1
    return matrix


def accuracy(matrix: list[list[int]]) -> float:
    """Share of the images on the diagonal."""
    return sum(matrix[digit][digit] for digit in range(DIGITS)) / sum(map(sum, matrix))


def draw(matrix: list[list[int]]) -> Canvas:
    """Draw the matrix with its counts: hits in blue by share of their row, misses in orange."""
    canvas = Canvas(MARGIN + DIGITS * CELL + CELL, MARGIN + DIGITS * CELL + CELL)
    images = sum(map(sum, matrix))
    canvas.text(MARGIN, 12, f"{accuracy(matrix):.1%} OF {images} HELD-OUT DIGITS READ RIGHT", INK)
    canvas.text(MARGIN, 36, "COLUMN: READ AS   ROW: TRUE DIGIT", INK)
    for digit, row in enumerate(matrix):
        along = MARGIN + digit * CELL
        canvas.text(along + 14, MARGIN - 24, str(digit), INK)
        canvas.text(MARGIN - 24, along + 12, str(digit), INK)
        for column, count in enumerate(row):
            left = MARGIN + column * CELL
            share = count / max(1, sum(row))
            canvas.fill(left, along, CELL - 2, CELL - 2, shade(share, hit=column == digit))
            if count:
                label = str(count)
                ink = PAPER if column == digit and share > 0.5 else INK
                canvas.text(left + (CELL - 1 - 12 * len(label)) // 2, along + 12, label, ink)
    return canvas


def shade(share: float, *, hit: bool) -> Colour:
    """From nearly white to the full colour; one miss is already visible."""
    full = (18, 74, 144) if hit else (240, 120, 20)
    depth = share if hit or not share else min(1.0, 0.25 + 3 * share)
    return tuple(round(238 + (end - 238) * depth) for end in full)


class Canvas:
    """A small RGB picture that knows rectangles and capital letters."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.rows = [bytearray(PAPER * width) for _ in range(height)]

    def fill(self, left: int, top: int, width: int, height: int, colour: Colour) -> None:
        """Paint a rectangle; what is off the canvas is an error of the caller."""
        for row in self.rows[top : top + height]:
            row[3 * left : 3 * (left + width)] = bytes(colour) * width

    def text(self, left: int, top: int, words: str, colour: Colour) -> None:
        """Write one line; a letter is 9 pixels wide, 15 high, and takes 12."""
        for place, letter in enumerate(words):
            for dot, lit in enumerate(f"{FONT[letter]:015b}"):
                if lit == "1":
                    down, right = divmod(dot, 3)
                    self.fill(left + 12 * place + 3 * right, top + 3 * down, 3, 3, colour)

    def png(self) -> bytes:
        """Encode as PNG: 8-bit RGB, no filter (W3C PNG, 3rd edition, sections 5 and 11)."""

        def chunk(kind: bytes, body: bytes) -> bytes:
            check = struct.pack(">I", zlib.crc32(kind + body))
            return struct.pack(">I", len(body)) + kind + body + check

        header = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row for row in self.rows), 9)
        parts = chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# Each letter is five rows of three dots, an octal figure a row, the top row first.
FONT = dict(
    zip(
        " 0123456789%.:-ACDEFGHILMNOPRSTUW",
        [
            0o00000,
            0o75557,
            0o26227,
            0o71747,
            0o71717,
            0o55711,
            0o74717,
            0o74757,
            0o71122,
            0o75757,
            0o75717,
            0o51245,
            0o00002,
            0o02020,
            0o00700,
            0o25755,
            0o34443,
            0o65556,
            0o74647,
            0o74644,
            0o34553,
            0o55755,
            0o72227,
            0o44447,
            0o57755,
            0o65555,
            0o25552,
            0o65644,
            0o65655,
            0o34216,
            0o72222,
            0o55557,
            0o55775,
        ],
        strict=True,
    )
)


if __name__ == "__main__":
    main()
