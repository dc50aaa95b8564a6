"""BLEU of translations that are lists of tokens."""

from __future__ import annotations

from collections.abc import Sequence


def bleu(
    hypotheses: Sequence[Sequence[str]], references: Sequence[Sequence[str]]
) -> tuple[float, str]:
    """Return the corpus BLEU, 0 to 100, by sacrebleu, and the signature that names its settings.

    The tokens count as they are (``tok:none``), so the figure can be compared only with those of
    texts cut into tokens in the same way. `hypotheses` and `references` have a list of tokens for
    each sentence. Raises ImportError if sacrebleu is not installed, ValueError if there are no
    sentences or not as many of both.
    """
    if not hypotheses or len(hypotheses) != len(references):
        raise ValueError(
            f"hypotheses and references are {len(hypotheses)} and {len(references)} sentences, "
            "expected as many of both, and at least one"
        )
    try:
        from sacrebleu.metrics.bleu import BLEU
    except ImportError as error:
        raise ImportError("BLEU needs sacrebleu: pip install 'fastlstm[translate]'") from error
    metric = BLEU(tokenize="none", force=True)  # force: do not warn of tokenized text
    score = metric.corpus_score(
        [" ".join(h) for h in hypotheses], [[" ".join(r) for r in references]]
    )
    return float(score.score), str(metric.get_signature())
