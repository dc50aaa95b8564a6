"""Processes that make trials, of which one dies, and what ends a trial early."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from fastlstm.train.history import Epoch, History
from fastlstm.tune import pool as pools
from fastlstm.tune.pool import Pool

# Says what a process for trials says; the second trial kills it.
PROGRAM = """
import os, sys
sys.stdout.buffer.write(b'\\xff\\n3\\n')  # of a library; not ours
print('{"ready": true}', flush=True)
for line in sys.stdin:
    if int(line) == 1:
        os.kill(os.getpid(), 9)
    print('{"done": %d}' % int(line), flush=True)
"""


def test_a_process_that_dies_fails_its_trial_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PROGRAM", [sys.executable, "-S", "-c", PROGRAM])
    done: list[int] = []
    failed: list[tuple[int, str]] = []
    with Pool(tmp_path, 2, 1, lambda *told: failed.append(told)) as pool:
        pool.make(iter(range(5)), done.append)
    assert sorted(done) == [0, 2, 3, 4]
    assert failed == [(1, "its process was killed by signal 9: was there enough memory?")]


def test_a_process_that_does_not_start_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pools, "PROGRAM", [sys.executable, "-S", "-c", "import sys; sys.exit(3)"])
    pool = Pool(tmp_path, 1, 1, lambda *told: None)
    with pytest.raises(ChildProcessError, match="does not start: its process ended with status 3"):
        with pool:
            pool.make(iter([0]), lambda number: None)


def test_a_number_that_comes_with_the_end_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from fastlstm.tune import worker

    stops: list[None] = []
    monkeypatch.setattr(worker, "_ask_to_stop", lambda: stops.append(None))
    late = worker.Inbox(io.StringIO("3\n4\n"))
    late.reader.join()
    assert list(late) == []
    assert not stops

    there, here = os.pipe()
    with open(there) as file, open(here, "w", buffering=1) as parent:
        inbox = worker.Inbox(file)
        numbers = iter(inbox)
        parent.write("5\n")
        assert next(numbers) == 5
        parent.close()
        inbox.reader.join()
        assert stops == [None]
        assert list(numbers) == []


def epoch(number: int, accuracy: float) -> Epoch:
    return Epoch(number, number, 0.1, 1.0, 0.5, 1.0, accuracy, 10, 1.0, 0.1)


def test_a_trial_below_the_median_ends() -> None:
    optuna = pytest.importorskip("optuna", reason="needs the extra tune")
    from fastlstm.tune.trial import Judge

    study = optuna.create_study(
        direction="maximize", pruner=optuna.pruners.MedianPruner(n_startup_trials=2)
    )

    def judged(accuracies: list[float], earlier: int = 0) -> Any:
        """Let a trial hear of epochs, the first ones as one that goes on does."""
        trial = study.ask()
        epochs = [epoch(n, value) for n, value in enumerate(accuracies, 1)]
        judge = Judge(trial, {}, "accuracy")
        history = History(epochs=epochs[:earlier], best=min(1, earlier))
        judge.on_start(history, 10, 3)
        for one in epochs[earlier:]:
            judge.on_epoch(one, True)
        study.tell(trial, accuracies[-1])
        return trial

    judged([0.6, 0.7, 0.8])
    judged([0.6, 0.7, 0.8], earlier=2)
    assert list(study.trials[1].intermediate_values) == [1, 2, 3]
    with pytest.raises(optuna.TrialPruned):
        judged([0.5, 0.5, 0.5])
    with pytest.raises(optuna.TrialPruned):
        judged([0.65, 0.65, 0.9], earlier=2)
    judged([0.7, 0.8, 0.1])  # the last epoch ends no trial
