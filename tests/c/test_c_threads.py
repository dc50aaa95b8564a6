"""Calls that several threads share, without Python: as alone, and under a sanitizer no race."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from building import Program
from harness import Case, run_cases
from loop_cases import FEW, SHORTER, draw, in_turn
from results import assert_close, assert_same
from toolchains import shared_by_teams

# Large enough for the kernels to share them out: by rows, by units, by distinct tokens, in pieces.
FOR_TEAMS = {
    "rows": Case(12, 66, 64, 128, lengths=SHORTER),
    "rows_reverse": Case(12, 66, 64, 128, lengths=SHORTER, reverse=True),
    "units": Case(4, 9, 16, 384, lengths=FEW),
    "tokens": Case(9, 60, 48, 80, distinct=40),
    "gru": Case(12, 66, 64, 128, cell="gru", lengths=SHORTER, reset=True, recompute=3),
    "gru_units": Case(4, 9, 16, 440, cell="gru", lengths=FEW),
    "gru_reset_before": Case(12, 66, 64, 128, cell="gru_reset_before", lengths=SHORTER),
    "rnn_tanh": Case(8, 99, 64, 160, cell="rnn_tanh", distinct=50, recompute=5),
    "rnn_relu_units": Case(6, 9, 16, 512, cell="rnn_relu"),
    "proj": Case(12, 66, 64, 96, proj=48, lengths=SHORTER, recompute=3),
    "ripe": Case(9, 70, 16, 96, lengths=(9, 0, 8, 9, 5, 9, 9) * 10),
    "ripe_tokens": Case(9, 70, 16, 96, distinct=11, recompute=4),
    "ripe_gru": Case(9, 70, 16, 120, cell="gru", recompute=4),
    "long_tokens": Case(10, 3500, 2, 3, distinct=2, recompute=3),
    "one_step": Case(1, 1, 128, 128, repeat=50),
    "one_step_rows": Case(1, 9, 40, 200, repeat=20),
    "gru_one_step": Case(1, 2, 96, 200, cell="gru", repeat=50),
    "rnn_one_step": Case(1, 4, 128, 136, cell="rnn_tanh", packed=True, repeat=50),
}


EMULATED = ("proj", "gru_units", "tokens", "one_step", "rnn_one_step")


@shared_by_teams(FOR_TEAMS, EMULATED)
def test_threads_do_not_change_a_bit(team_program: Program, name: str, tmp_path: Path) -> None:
    case, inputs = draw(FOR_TEAMS[name], "float32")
    expected = case.expected(inputs)
    teams = ((2, False), (3, True), (8, False), (8, True))
    shared = [replace(case, threads=threads, hasty=hasty) for threads, hasty in teams]
    given = [(one, inputs) for one in (case, *shared)]
    isas = in_turn(team_program, name, FOR_TEAMS)
    for isa, (alone, *found) in run_cases(team_program, isas, given, tmp_path):
        assert_close(alone, expected, "float32", isa)
        for (threads, _), team in zip(teams, found, strict=True):
            assert_same(team, alone, alone, f"{isa}, {threads} threads")
