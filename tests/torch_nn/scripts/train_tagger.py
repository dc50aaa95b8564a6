"""A tagger of sequences in plain torch: a GRU over a batch of padded rows, one tag a step.

The task: the running sum of the digits so far, modulo 3.
"""

import sys
import time

import torch
from torch import nn

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
ROWS, LENGTH, DIGITS, TAGS, PADDING = 32, 30, 5, 3, -100

torch.manual_seed(0)
torch.set_flush_denormal(True)


class Tagger(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(DIGITS, 16)
        self.gru = nn.GRU(16, 64, batch_first=True)
        self.out = nn.Linear(64, TAGS)

    def forward(self, digits: torch.Tensor) -> torch.Tensor:
        y, _ = self.gru(self.embedding(digits))
        return self.out(torch.relu(y))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    digits = torch.randint(0, DIGITS, (ROWS, LENGTH))
    tags = digits.cumsum(1) % TAGS
    past = torch.arange(LENGTH) >= torch.randint(LENGTH // 2, LENGTH + 1, (ROWS, 1))
    return digits, tags.masked_fill(past, PADDING)


model = Tagger()
optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
loss_of = nn.CrossEntropyLoss(ignore_index=PADDING)
seconds = []
for _ in range(STEPS):
    digits, tags = batch()
    start = time.perf_counter()
    optimizer.zero_grad()
    loss = loss_of(model(digits).flatten(0, 1), tags.flatten())
    loss.backward()
    optimizer.step()
    seconds.append(time.perf_counter() - start)
    print(loss.item())
print(f"step: {1e3 * sorted(seconds)[len(seconds) // 2]:.2f} ms", file=sys.stderr)
