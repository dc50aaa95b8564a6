"""A tagger of words: a BiLSTM over the letters of each, one over the words, and a conditional
random field.

Z. Huang, W. Xu, K. Yu: Bidirectional LSTM-CRF Models for Sequence Tagging, 2015; G. Lample et al.:
Neural Architectures for Named Entity Recognition, 2016, whose sizes these are.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.models.task import Inputs, Task

LETTERS = 60  # kinds of them


class RandomField(nn.Module):
    """Minus the mean log-likelihood of tags [T,N] by scores [T,N,K]; `real` [T,N] marks words."""

    def __init__(self, kinds: int) -> None:
        super().__init__()
        self.moves = nn.Parameter(torch.randn(kinds, kinds))
        self.first, self.last = (nn.Parameter(torch.randn(kinds)) for _ in range(2))

    def forward(self, scores: Tensor, tags: Tensor, real: Tensor) -> Tensor:
        return (self.of_all(scores, real) - self.of_one(scores, tags, real)).mean()

    def of_all(self, scores: Tensor, real: Tensor) -> Tensor:
        """Return the logarithm of the sum over all ways to tag a row."""
        total = self.first + scores[0]
        for score, on in zip(scores[1:], real[1:], strict=True):
            after = torch.logsumexp(total.unsqueeze(2) + self.moves, 1) + score
            total = torch.where(on.unsqueeze(1), after, total)
        return torch.logsumexp(total + self.last, 1)

    def of_one(self, scores: Tensor, tags: Tensor, real: Tensor) -> Tensor:
        """Return the score of the tags given."""
        emitted = scores.gather(2, tags.unsqueeze(2)).squeeze(2)
        moved = self.moves[tags[:-1], tags[1:]]
        end = tags.gather(0, real.sum(0, keepdim=True) - 1).squeeze(0)
        within = (emitted * real).sum(0) + (moved * real[1:]).sum(0)
        return self.first[tags[0]] + within + self.last[end]


class Tagger(nn.Module):
    """The loss of a batch.

    words, tags : [T,N]; lengths [N].
    letters : of all real words [L,M], their numbers letter_counts [M].
    places : [T,N], where among those M a word is.
    """

    def __init__(self, vocabulary: int, embedding: int, spelling: int, hidden: int, kinds: int):
        super().__init__()
        self.letters = nn.Embedding(LETTERS, spelling)
        self.spelling = nn.LSTM(spelling, spelling, bidirectional=True)
        self.words = nn.Embedding(vocabulary, embedding)
        self.context = nn.LSTM(embedding + 2 * spelling, hidden, bidirectional=True)
        self.scores = nn.Linear(2 * hidden, kinds)
        self.field = RandomField(kinds)

    def forward(
        self, words: Tensor, lengths: Tensor, letters: Tensor, letter_counts: Tensor,
        places: Tensor, tags: Tensor,
    ) -> Tensor:  # fmt: skip
        packed = pack(self.letters(letters), letter_counts)
        _, (ends, _) = self.spelling(packed)
        spelled = torch.cat([ends[0], ends[1]], 1)[places]
        y, _ = self.context(pack(torch.cat([self.words(words), spelled], 2), lengths))
        scores = self.scores(pad_packed_sequence(y)[0])
        real = torch.arange(len(words)).unsqueeze(1) < lengths
        return self.field(scores, tags, real)  # type: ignore[no-any-return]


def pack(x: Tensor, lengths: Tensor) -> Any:
    return pack_padded_sequence(x, lengths, enforce_sorted=False)


def make(
    rows: int, longest: int, letters: int, vocabulary: int, embedding: int, spelling: int,
    hidden: int, kinds: int,
) -> tuple[nn.Module, Inputs]:  # fmt: skip
    lengths = torch.randint(longest // 4, longest + 1, (rows,))
    lengths[0] = longest
    real = torch.arange(longest).unsqueeze(1) < lengths
    count = int(real.sum())
    places = torch.zeros(longest, rows, dtype=torch.long)
    places[real] = torch.arange(count)
    batch = (
        torch.randint(vocabulary, (longest, rows)) * real,
        lengths,
        torch.randint(LETTERS, (letters, count)),
        torch.randint(1, letters + 1, (count,)),
        places,
        torch.randint(kinds, (longest, rows)) * real,
    )
    return Tagger(vocabulary, embedding, spelling, hidden, kinds), batch


def train(model: Any, *batch: Tensor) -> dict[str, Tensor]:
    return {"loss": model(*batch)}


PAPER = {"vocabulary": 10_000, "embedding": 100, "spelling": 25, "hidden": 100, "kinds": 9}
SMALL = {"vocabulary": 30, "embedding": 4, "spelling": 3, "hidden": 5, "kinds": 3}
TASKS = (
    Task(
        "{rows} sentences of up to {longest} words, packed", make, train,
        {"rows": 32, "longest": 40, "letters": 12, **PAPER},
        {"rows": 3, "longest": 8, "letters": 4, **SMALL}, trains=True,
    ),
)  # fmt: skip
