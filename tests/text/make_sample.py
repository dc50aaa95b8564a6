"""Make the bundled sample from the official archive: ``python tests/text/make_sample.py``.

1,000 reviews of each class from the training part and 750 from the test part, each cut after its
200th word. The same archive gives the same file, byte for byte.
"""

from __future__ import annotations

import argparse
import bz2
import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from fastlstm.files.writing import replacing
from fastlstm.text.reviews import READERS, Review
from fastlstm.text.sources import CLASSES, SAMPLE_PATH, SPLITS, find_source
from fastlstm.text.word_codes import WORD, codes

SEED = 0
PER_CLASS = {"train": 1_000, "test": 750}
WORDS = 200
SHORT_CODES = 40  # of the bytes that the text has none of; as it is now these pack best
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
    for (split, _), drawn in groups.items():
        chosen = [review for _, review in sorted(drawn)[: PER_CLASS[split]]]
        lines += [_line(review) for review in sorted(chosen)]
    return "".join(lines).encode("utf-8")


def encode(text: bytes) -> bytes:
    """Return `text` as `word_codes.decode` reads it.

    The words whose codes save most go first, those with two bytes by the alphabet: neighbours look
    alike to bz2.
    """
    counts = Counter(WORD.findall(text))
    saved = {word: (len(word) - 1.5) * n for word, n in counts.items() if len(word) > 1 and n > 2}
    free = bytes(byte for byte in range(1, 256) if byte not in text and byte not in b"\r\n []^-\\")
    ones, pairs = free[:SHORT_CODES], free[SHORT_CODES:]
    all_codes = codes(ones, pairs)
    words = sorted(saved, key=lambda word: (-saved[word], word))[: len(all_codes)]
    words[SHORT_CODES:] = sorted(words[SHORT_CODES:])
    code_of = dict(zip(words, all_codes, strict=False))
    coded = WORD.sub(lambda found: code_of.get(found[0], found[0]), text)
    return b"\n".join([ones, pairs, b" ".join(words), coded])


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
    packed = bz2.compress(encode(sample(READERS[source.kind](source.path))))
    with replacing(options.out) as file:
        file.write(packed)
    print(f"{options.out}: {len(packed):,} bytes, sha256 {hashlib.sha256(packed).hexdigest()}")


if __name__ == "__main__":
    main()
