"""A ``metrics.json`` of another run in the folder is told, and not taken for the run's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from topics import read

from fastlstm.cli import main

pytestmark = pytest.mark.usefixtures("no_picture", "no_debug")


def test_metrics_of_another_run(three: Path, two: Path, tmp_path: Path, fails: Any) -> None:
    run = Path(shutil.copytree(three, tmp_path / "run"))
    own = read(run / "metrics.json")
    shutil.copy(two / "metrics.json", run)
    for line in (["train", "--resume", run], ["info", run], ["compare", run, three]):
        told = fails(*line)
        assert f"{run / 'metrics.json'} is of another run than model.safetensors; put" in told
        assert "--resume goes on" in told
    assert main(["predict", str(run), "a text"]) == 0  # which does not read them
    (run / "metrics.json").write_text(json.dumps({**own, "model_crc32": None}))
    assert "model_crc32 is None" in fails("train", "--resume", run)
    del own["model_crc32"]  # as of earlier versions
    (run / "metrics.json").write_text(json.dumps(own))
    assert main(["train", "--resume", str(run)]) == 0
    (run / "metrics.json").unlink()
    assert main(["train", "--resume", str(run)]) == 0  # which finishes it again
    assert read(run / "metrics.json")["test_accuracy"] == own["test_accuracy"]
