"""A little English and French: sentences of a grammar, where words change their order and form.

What a translator must learn of it: adjectives of colour come after the noun, articles and
adjectives agree with its gender, verbs with the number of the subject.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastlstm.text.pairs import Pair


class Noun(NamedTuple):
    """English singular and plural, French singular (plural: with s), whether it is feminine."""

    english: str
    plural: str
    french: str
    feminine: bool


def _nouns(text: str) -> list[Noun]:
    rows = (line.split() for line in text.strip().splitlines())
    return [Noun(english, plural, french, g == "f") for english, plural, french, g in rows]


def _words(text: str) -> list[tuple[str, ...]]:
    return [tuple(entry.split("/")) for entry in text.split()]


BEINGS = _nouns("""
cat cats chat m
dog dogs chien m
girl girls fille f
boy boys gar\u00e7on m
woman women femme f
neighbor neighbors voisin m
farmer farmers fermier m
queen queens reine f
""")
THINGS = _nouns("""
car cars voiture f
book books livre m
house houses maison f
garden gardens jardin m
flower flowers fleur f
chair chairs chaise f
boat boats bateau m
table tables table f
""")
# English, French: masculine singular and plural, feminine singular and plural.
BEFORE = _words("small/petit/petits/petite/petites big/grand/grands/grande/grandes")
AFTER = _words(
    "green/vert/verts/verte/vertes black/noir/noirs/noire/noires blue/bleu/bleus/bleue/bleues "
    "red/rouge/rouges/rouge/rouges"
)
# English with one and with many, French likewise.
VERBS = _words(
    "sees/see/voit/voient watches/watch/regarde/regardent looks+for/look+for/cherche/cherchent "
    "draws/draw/dessine/dessinent finds/find/trouve/trouvent likes/like/aime/aiment"
)
# English with one and with many, French: masculine, feminine, plural.
ARTICLES = _words("the/the/le/la/les a/some/un/une/des my/my/mon/ma/mes this/these/ce/cette/ces")


def draw(count: int, rng: np.random.Generator) -> list[Pair]:
    """Return pairs of sentences, lists of words; some may be the same."""
    return [_sentence(rng) for _ in range(count)]


def _sentence(rng: np.random.Generator) -> Pair:
    many = bool(rng.integers(2))
    subject, sujet = _phrase(BEINGS, many, rng)
    thing, chose = _phrase(THINGS if rng.random() < 0.7 else BEINGS, bool(rng.integers(2)), rng)
    verb = VERBS[rng.integers(len(VERBS))]
    english = [*subject, *verb[many].split("+"), *thing, "."]
    french = [*sujet, verb[2 + many], *chose, "."]
    return english, french


def _phrase(nouns: list[Noun], many: bool, rng: np.random.Generator) -> tuple[list[str], list[str]]:
    """Return an article, perhaps adjectives and a noun in both languages."""
    noun, article = nouns[rng.integers(len(nouns))], ARTICLES[rng.integers(len(ARTICLES))]
    before = [BEFORE[rng.integers(len(BEFORE))]] if rng.random() < 0.4 else []
    after = [AFTER[rng.integers(len(AFTER))]] if rng.random() < 0.4 else []
    form = 1 + 2 * noun.feminine + many
    french = [
        article[4 if many else 2 + noun.feminine],
        *(word[form] for word in before),
        noun.french + ("x" if noun.french.endswith("eau") else "s") * many,
        *(word[form] for word in after),
    ]
    words = [word[0] for word in before + after]
    return [article[many], *words, noun.plural if many else noun.english], french
