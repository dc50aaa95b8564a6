"""Make the bundled sample from the official archive: ``python tests/text/make_sample.py``.

1,000 reviews of each class from the training part and as many from the test part, each cut
after its 200th word. The same archive gives the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from fastlstm.text.files import replacing
from fastlstm.text.reviews import READERS, Review
from fastlstm.text.sources import CLASSES, SAMPLE_PATH, SPLITS, find_source

SEED = 0
PER_CLASS = 1_000  # of each split
WORDS = 200
_ONE_LINE = str.maketrans("\t\r\n", "   ")
_BREAK = "<br />"
_WORD = re.compile(rf"{_BREAK}|(?:[^\W_]|['\u2019\u00b4])+")  # of a text as it is


def sample(reviews: Iterable[Review], seed: int = SEED) -> bytes:
    """Return the sample as text: a line ``split/label/name<TAB>review`` for each review.

    Chance is the hash of seed and name: no random generator, whose next version may differ.
    """
    groups: dict[tuple[str, str], list[tuple[bytes, Review]]] = {
        (split, label): [] for split in SPLITS for label in CLASSES
    }
    for review in reviews:
        key = f"{seed}:{'/'.join(review[:3])}".encode()
        groups[review.split, review.label].append((hashlib.sha256(key).digest(), review))
    lines = []
    for drawn in groups.values():
        chosen = [review for _, review in sorted(drawn)[:PER_CLASS]]
        lines += [_line(review) for review in sorted(chosen)]
    return "".join(lines).encode("utf-8")


def _line(review: Review) -> str:
    text = first_words(review.raw.decode("utf-8"), WORDS).translate(_ONE_LINE)
    return f"{'/'.join(review[:3])}\t{text}\n"


def first_words(text: str, count: int) -> str:
    """Return `text` as it is up to the end of its `count`-th word."""
    seen = 0
    for match in _WORD.finditer(text):
        seen += match[0] != _BREAK
        if seen == count:
            return text[: match.end()]
    return text


def main(arguments: list[str] | None = None) -> None:
    """Write the sample and print its checksum."""
    parser = argparse.ArgumentParser(description="Make the bundled IMDB sample.")
    parser.add_argument("source", help="the official archive, or its extracted folder")
    parser.add_argument("--out", type=Path, default=SAMPLE_PATH, help="the file to write")
    options = parser.parse_args(arguments)
    source = find_source(options.source)
    if source.kind not in ("archive", "folder"):
        parser.error(f"{options.source} is not the official archive or its folder")
    packed = bz2.compress(sample(READERS[source.kind](source.path)))
    with replacing(options.out) as file:
        file.write(packed)
    print(f"{options.out}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
