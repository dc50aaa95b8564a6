"""Faults in what keeps a run together, what shows its parts, and what it may begin with."""

from __future__ import annotations

from attack.faults.fault import Fault

_RUN = "fastlstm/train/classifier/"
_ONE, _IDLE = "tests/cli/test_cli_one_run.py", "tests/cli/test_cli_idle_options.py"
_PARTS, _SHARES = "tests/cli/test_cli_compare_parts.py", "tests/inspect_text/test_shares.py"
_FROM, _ESTIMATOR = "tests/train/test_imdb_from.py", "tests/estimator/test_estimator_idle.py"

RUNS = (
    Fault(_RUN + "one_run.py", "[vocab.analyzer, *vocab.words]", "[vocab.analyzer]", _ONE),
    Fault(_RUN + "one_run.py", 'free = {*config.free_options, "epochs"}',
          "free = set(config.free_options)", _ONE),
    Fault(_RUN + "one_run.py", "own.keys() & told.keys())", "own.keys())", _ONE),
    Fault(_RUN + "loaded_run.py", "return read_hashes(path, check)", "return read_hashes(path)",
          _ONE),
    Fault(_RUN + "idle_options.py", "return bool(value)", "return True", _IDLE),
    Fault(_RUN + "idle_options.py", "_kinds(run).isdisjoint((\"table\", None))",
          "_kinds(run).isdisjoint((\"table\",))", _IDLE),
    Fault(_RUN + "idle_options.py", "lambda run: not run.pretrain", "lambda run: False", _IDLE),
    Fault("fastlstm/sklearn/idle.py", "value is not usual and value != usual", "value is not usual",
          _ESTIMATOR),
    Fault("fastlstm/cli/compare.py", "RESULTS if joined else RESULTS.keys() - OF_PARTS.keys()",
          "RESULTS", _PARTS),
    Fault(_RUN + "run_curves.py", "both if alone else metrics.get(f\"linear_validation_{what}\")",
          "both", _PARTS),
    Fault(_RUN + "report.py", "TEXTS[is_tested]", "TEXTS[1]", _PARTS),
    Fault("fastlstm/inside/shares.py", "join.net * net.astype", "net.astype", _SHARES),
    Fault("fastlstm/inside/shares.py", "ends[-1] = number", "pass", _SHARES),
    Fault("fastlstm/inside/shares.py", "ends[at : at + rows]", "ends[:rows]", _SHARES),
    Fault("fastlstm/inside/drawn.py", "np.where(below * above > 0, below, 0.0)", "below",
          _SHARES),
    Fault("fastlstm/text/corpus.py", "own = [*self.words, *self.others]", "own = [*self.words]",
          _FROM),
    Fault(_RUN + "imdb.py", "if start is not None and start.words != found.vocab.words:",
          "if False:", _FROM),
)  # fmt: skip
