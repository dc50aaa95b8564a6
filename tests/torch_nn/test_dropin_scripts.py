"""Training scripts of plain torch, as they are and with one line added: the same losses."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from dropin import torch

SCRIPTS = Path(__file__).parent / "scripts"
MADE, ADDED = (
    "\nmodel = ",
    "\nimport fastlstm.torch; print(fastlstm.torch.accelerate(model), file=sys.stderr)",
)
STEPS = 100


def losses(source: str) -> tuple[list[float], str]:
    """Run a script; return the loss of each step and what it said beside them."""
    done = subprocess.run(
        [sys.executable, "-c", source, str(STEPS)],
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return [float(line) for line in done.stdout.split()], done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train_classifier", "train_tagger"])
def test_same_losses_with_one_line_added(name: str) -> None:
    source = (SCRIPTS / f"{name}.py").read_text()
    assert "fastlstm" not in source
    at = source.index("\n", source.index(MADE) + 1)
    expected, _ = losses(source)
    found, said = losses(source[:at] + ADDED + source[at:])
    assert "accelerate: 1 swapped, 0 skipped" in said
    assert "step: " in said
    assert len(expected) == STEPS
    torch.testing.assert_close(torch.tensor(found), torch.tensor(expected), rtol=1e-4, atol=0)
    # The first steps differ by rounding alone; then the differences grow with the training.
    torch.testing.assert_close(
        torch.tensor(found[:5]), torch.tensor(expected[:5]), rtol=1e-5, atol=0
    )
    assert expected[-1] < 0.85 * expected[0]
