"""Cases of whole loops over time: each cell and option, sizes around those of vectors and tiles."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from building import Program
from harness import Arrays, Case

from fastlstm.kernels import CELLS

RAGGED = (5, 0, 7, 7, 1, 3, 2, 6, 4)
# Lengths of many rows, and of few, for calls that threads share.
SHORTER = (12, 0, 7) * 22
FEW = (4, 4, 3, 4, 2, 4, 4, 0, 4)

CASES = {
    "one": Case(1, 1, 1, 1),
    "two_steps": Case(2, 1, 3, 7),
    "below_vector": Case(3, 2, 7, 3),
    "vector": Case(5, 8, 16, 16),
    "odd": Case(5, 7, 9, 17),
    "above_tiles": Case(4, 33, 31, 33),
    "wide": Case(3, 15, 64, 64),
    "deep": Case(2, 19, 600, 40),
    "no_bias": Case(4, 5, 8, 15, bias=False),
    "ragged": Case(7, 9, 5, 9, lengths=RAGGED),
    "ragged_reverse": Case(7, 9, 5, 9, lengths=RAGGED, reverse=True),
    "all_empty": Case(2, 3, 4, 5, lengths=(0, 0, 0)),
    "reverse": Case(6, 3, 4, 8, reverse=True),
    "batch_first": Case(6, 7, 5, 12, lengths=(6, 1, 4, 4, 0, 2, 5), batch_first=True),
    "accumulate": Case(7, 9, 5, 9, lengths=RAGGED, accumulate=True),
    "tokens": Case(7, 9, 6, 17, lengths=RAGGED, distinct=11),
    "tokens_reverse": Case(7, 9, 6, 17, lengths=RAGGED, distinct=4, reverse=True),
    "tokens_accumulate": Case(6, 8, 16, 16, distinct=50, accumulate=True, batch_first=True),
    "reset": Case(7, 9, 5, 9, lengths=RAGGED, reset=True),
    "reset_reverse": Case(7, 9, 5, 17, lengths=RAGGED, reverse=True, reset=True),
    "reset_batch_first": Case(5, 4, 5, 8, reset=True, batch_first=True, distinct=3),
    "recompute": Case(7, 9, 5, 9, lengths=RAGGED, recompute=3),
    "recompute_all": Case(7, 9, 6, 17, lengths=RAGGED, recompute=2, reset=True, distinct=11),
    "packed": Case(5, 7, 9, 17, packed=True),
    "only_dy": Case(4, 3, 5, 8, dstate=False),
    "only_dstate": Case(4, 3, 5, 8, dy=False),
}
# All cells in what they do not share with an LSTM: gates, states, biases, recomputing, threads.
for cell in list(CELLS)[1:]:
    CASES |= {
        f"{cell}": Case(5, 7, 9, 17, cell=cell),
        f"{cell}_few": Case(3, 2, 7, 33, cell=cell, packed=True),
        f"{cell}_no_bias": Case(4, 5, 8, 15, cell=cell, bias=False),
        f"{cell}_ragged": Case(7, 9, 5, 9, cell=cell, lengths=RAGGED, reset=True, recompute=3),
        f"{cell}_tokens": Case(7, 9, 6, 16, cell=cell, lengths=RAGGED, distinct=9, reverse=True),
    }
CASES |= {
    "proj": Case(5, 7, 9, 17, proj=6),
    "proj_wide": Case(4, 33, 31, 64, proj=33, bias=False, packed=True),
    "proj_ragged": Case(7, 9, 5, 9, proj=8, lengths=RAGGED, reset=True, recompute=3),
    "proj_tokens": Case(7, 9, 6, 16, proj=1, lengths=RAGGED, distinct=9, reverse=True),
}
# Rows that are worked on before the last step is, and more of them than one sum adds up.
CASES |= {
    "ripe": Case(9, 70, 16, 96, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_reverse": Case(9, 70, 5, 96, reverse=True, batch_first=True, reset=True),
    "ripe_tokens": Case(9, 70, 16, 96, distinct=11, accumulate=True),
    "ripe_recompute": Case(9, 70, 16, 96, recompute=4, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_proj": Case(5, 150, 16, 64, proj=20),
    "ripe_gru": Case(9, 70, 16, 120, cell="gru", distinct=9),
    "ripe_gru_reset_before": Case(9, 70, 16, 120, cell="gru_reset_before", recompute=5),
    "ripe_rnn": Case(9, 70, 16, 260, cell="rnn_relu"),
    "long": Case(10, 3500, 2, 3),
    "long_tokens": Case(10, 3500, 2, 3, distinct=2, recompute=3),
    "long_gru": Case(10, 3500, 2, 3, cell="gru", recompute=3, reset=True),
}


def in_turn(program: Program, name: str, cases: Iterable[str]) -> list[str]:
    """The instruction sets to divide one of `cases` under: all, where that costs little.

    They divide by the same lines. Under a sanitizer a case has one of them, in such an order that
    of three cases in a row, and of each third case, each has another.
    """
    if not program.sanitized:
        return program.isas
    number = [*cases].index(name)
    return [program.isas[(number + number // 3) % len(program.isas)]]


def draw(case: Case, dtype: str) -> tuple[Case, Arrays]:
    """The case in another precision, and its inputs."""
    case = replace(case, dtype=dtype)
    return case, case.draw()
