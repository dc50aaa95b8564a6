"""Sentences with people, streets, firms and towns, made up: a word alone does not tell what it is.

All four are called by the same words. What "Baker" is, is said by how the mention goes on: "Baker"
is a person, "Baker Lane" a street, "Baker Lane Bank" a firm. So a label depends on the next ones.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

NAMES = """Baker Marsh Hall King Bell Stone Brook Carter Dale Field Ford Fox Grant Grey Hill Hunter
Lake Lane Lee Mason Miller Moore Park Parker Pool Reed Rivers Rose Shaw Walker Ward Wells West Wood
Young Abbey Church Cross Green Temple Barnes Bolton Burton Chester Lincoln Preston Warwick York"""
ENDINGS = {
    "PERSON": ["", "", "", "Junior", "Senior"],
    "STREET": ["Street", "Road", "Lane", "Avenue", "Hill"],
    "FIRM": ["Bank", "Ltd", "Brothers", "Hotel", "Lane Bank", "Hill Hotel", "Road Works"],
    "TOWN": ["Town", "City", "on Sea", "under Hill", "Cross"],
}
BETWEEN = """and|then|, |from|to|with|near|on|for|that|is|was seen at|wrote to|called|moved to|left
|will meet|of|has bought|walked along|asked|late for|between"""
KINDS = tuple(ENDINGS)
LABELS = ("O", *(f"{mark}-{kind}" for kind in KINDS for mark in "BI"))


class Sentence(NamedTuple):
    """Words, and the label of each."""

    words: list[str]
    labels: list[str]


def make_sentences(count: int, seed: int) -> list[Sentence]:
    """Return made-up sentences, always the same ones of a seed."""
    rng = np.random.default_rng(seed)
    names = NAMES.split()
    fillers = [filler.split() for filler in BETWEEN.replace("\n", "").split("|")]
    made = []
    for _ in range(count):
        words: list[str] = []
        labels: list[str] = []
        for _ in range(rng.integers(1, 6)):
            # one mention in six follows the one before without a word between them
            filler = fillers[rng.integers(len(fillers))] if rng.random() < 5 / 6 else []
            kind = KINDS[rng.integers(len(KINDS))]
            ending = ENDINGS[kind][rng.integers(len(ENDINGS[kind]))].split()
            mention = [names[k] for k in rng.integers(len(names), size=rng.integers(1, 4))] + ending
            words += filler + mention
            labels += ["O"] * len(filler) + [f"B-{kind}"] + [f"I-{kind}"] * (len(mention) - 1)
        made.append(Sentence(words, labels))
    return made
