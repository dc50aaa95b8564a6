"""A classifier of sentences in plain torch: two-layer bidirectional LSTM, dropout, packed input.

The task: which of the two halves of the vocabulary has more of a sentence's words.
"""

import sys
import time

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
VOCABULARY, ROWS, LONGEST = 200, 32, 40

torch.manual_seed(0)
torch.set_flush_denormal(True)


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 32)
        self.lstm = nn.LSTM(32, 48, 2, dropout=0.3, bidirectional=True, batch_first=True)
        self.dropout = nn.Dropout(0.5)
        self.out = nn.Linear(2 * 48, 1)

    def forward(self, words: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        x = self.embedding(words)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        _, (h_n, _) = self.lstm(packed)
        return self.out(self.dropout(torch.cat([h_n[-2], h_n[-1]], dim=1))).squeeze(1)


def batch() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    lengths = torch.randint(3, LONGEST + 1, (ROWS,))
    words = torch.randint(0, VOCABULARY, (ROWS, int(lengths.max())))
    real = torch.arange(words.shape[1]) < lengths[:, None]
    upper = ((words >= VOCABULARY // 2) & real).sum(1)
    return words, lengths, (2 * upper > lengths).float()


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), 3e-3)
loss_of = nn.BCEWithLogitsLoss()
seconds = []
for _ in range(STEPS):
    words, lengths, labels = batch()
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = loss_of(model(words, lengths), labels)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    seconds.append(time.perf_counter() - start)
    print(loss.item())
print(f"step: {1e3 * sorted(seconds)[len(seconds) // 2]:.2f} ms", file=sys.stderr)
