"""What each n-gram weighs in a text, before anything is learned of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastlstm.kernels.sparse import SparseRows
from fastlstm.linear.counting import Counts
from fastlstm.linear.ngrams import Int64s
from fastlstm.linear.targets import Targets
from fastlstm.text.encoded import runs

Reals = NDArray[np.float64]

# With 1, as is usual, frequent words count too much: a net that knows little else gets a negative
# weight beside them. docs/linear.md has what other powers bring.
IDF_POWER = 1.5


def scales_of(
    counts: Counts, targets: Targets, classes: int, weight: Reals, sizes: tuple[int, int],
    least: tuple[int, int],
) -> NDArray[np.float32]:  # fmt: skip
    """Return the factor of each feature, float32 [F].

    That of an n-gram of characters is a power of its inverse document frequency

        idf = (log((1 + N) / (1 + df)) + 1) ** 1.5

    of N texts of which df have it; that of an n-gram of words is ``idf (1 + r)``, where r is the
    root mean square over classes of its naive Bayes log-count ratio (Wang & Manning 2012)

        log((p / |p|) / (q / |q|)),  p = 1 + the texts of the class that have it, q = 1 + the others

    and ``|p|`` the sum of p over all n-grams of words. Texts count by their weight, and those in
    doubt partly for either class.

    Parameters
    ----------
    counts : of texts of which those of weight 0 are left out.
    targets : the class of each text, 0 to classes - 1.
    weight : float64 [N].
    sizes : number of features of words and of characters.
    least : texts that must have a feature of either kind; the factor of others is 0.

    References
    ----------
    S. Wang, C. D. Manning (2012). Baselines and bigrams: simple, good sentiment and topic
    classification. ACL 2012, 90-94.
    """
    rows, (F1, F2) = counts.rows, sizes
    F = F1 + F2
    row = np.repeat(np.arange(len(weight)), np.diff(rows.offsets))
    of_entry = weight[row]
    texts = np.bincount(rows.columns[of_entry > 0], minlength=F)
    df: Reals = np.bincount(rows.columns, of_entry, F).astype(np.float64)
    scales: Reals = (np.log((1 + weight.sum()) / (1 + df)) + 1) ** IDF_POWER
    kept = texts >= np.repeat(least, sizes)
    scales[:F1] *= 1 + log_ratios(counts, targets, classes, weight, df[:F1], kept[:F1])
    return np.where(kept, scales, 0).astype(np.float32)


def log_ratios(
    counts: Counts, targets: Targets, classes: int, weight: Reals, df: Reals,
    kept: NDArray[np.bool_],
) -> Reals:  # fmt: skip
    """Return r of each n-gram of words, of the classes that have a text; |p| is of those kept."""
    rows, F = counts.rows, len(df)
    lengths = counts.middle - rows.offsets[:-1]
    present = targets.present(weight > 0)
    total = np.zeros(F)
    if len(present) < 2 or not kept.any():
        return total
    if classes == 2:
        present = present[1:]  # the ratio of the other class is the same, less the sign
    for k in present:
        share = weight * targets.share(k)
        texts = np.flatnonzero(share > 0)
        entries = runs(rows.offsets[:-1][texts], lengths[texts])
        p = np.bincount(rows.columns[entries], np.repeat(share[texts], lengths[texts]), F)
        q = df - p + 1
        p += 1
        total += (np.log(p / q) - np.log(p[kept].sum() / q[kept].sum())) ** 2
    return np.sqrt(total / len(present))


def weigh(counts: Counts, scales: NDArray[np.float32]) -> SparseRows:
    """Return rows whose words are a vector of length 1, as are their characters."""
    rows, lengths = counts.rows, counts.lengths()
    values = rows.values * scales[rows.columns]
    part = np.repeat(np.arange(len(lengths)), lengths)
    square = np.bincount(part, np.square(values, dtype=np.float64), len(lengths))
    factor = (1 / np.sqrt(np.where(square > 0, square, 1))).astype(np.float32)
    return rows._replace(values=values * factor[part])


def select(rows: SparseRows, index: Int64s) -> SparseRows:
    """Return the rows of some numbers."""
    lengths = np.diff(rows.offsets)[index]
    entries = runs(rows.offsets[:-1][index], lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return SparseRows(offsets, rows.columns[entries], rows.values[entries])
