"""A loaded run is pickled without what can be made anew, and predicts the same elsewhere."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastlstm as fl
from fastlstm import runtime
from fastlstm.train.classifier import classify, texts
from fastlstm.train.classifier.loaded_run import LoadedRun, load_run
from fastlstm.train.classifier.run_folder import RunFolder
from fastlstm.train.classifier.text_config import TextConfig

TEXTS = ["good1 film2, good3!", "bad1", "", "never seen"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> LoadedRun:
    """A run with a net and a linear part."""
    folder = tmp_path_factory.mktemp("run")
    lines = [f"{'good' if n % 2 else 'bad'}{n % 9} film{n % 7}!,{n % 2}" for n in range(60)]
    (folder / "a.csv").write_text("\n".join(["text,label", *lines]))
    config = TextConfig(str(folder / "a.csv"), hidden_size=16, embedding_dim=32, epochs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fastlstm.train.classifier.classify.draw_curves", lambda *_: False)
        classify.run(texts.load, config, RunFolder(folder / "run"))
    return load_run(folder / "run")


def weights_of(run: LoadedRun) -> int:
    arrays = [parameter.data for parameter in run.model.parameters()]
    assert run.parts.linear is not None
    return sum(array.nbytes for array in [*arrays, *run.parts.linear.state().values()])


def test_a_pickle_has_the_weights_once(run: LoadedRun) -> None:
    words = sum(len(word) + 4 for word in run.vocab.words)
    assert len(pickle.dumps(run.predict)) < weights_of(run) + words + 8000
    buffers: list[Any] = []
    head = pickle.dumps(run, protocol=5, buffer_callback=buffers.append)
    assert len(head) < words + 8000
    sent = sum(buffer.raw().nbytes for buffer in buffers)
    assert weights_of(run) <= sent < weights_of(run) + 100  # and the seed of a generator
    # as Ray and joblib map them into the memory of a worker
    again = pickle.loads(head, buffers=[bytes(buffer.raw()) for buffer in buffers])
    assert not any(parameter.data.flags.writeable for parameter in again.model.parameters())
    for precision in ("float32", "bfloat16", "int8"):
        for one in (run, again):
            one.model.set_precision(precision)
        np.testing.assert_array_equal(again.predict_proba(TEXTS), run.predict_proba(TEXTS))
    run.model.set_precision("float32")
    assert again.labels == run.labels
    assert again.vocab.id("film2") == run.vocab.id("film2") > 1


def test_the_words_of_a_joined_run_are_cut_once(run: LoadedRun) -> None:
    found = run.encode(TEXTS)
    expected = run.vocab.encode_texts(TEXTS, [0] * len(TEXTS))
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    assert found.whole is not None
    assert "!" in found.whole.tokens


def test_another_process_says_the_same_without_the_folder(run: LoadedRun, tmp_path: Path) -> None:
    (tmp_path / "predict").write_bytes(pickle.dumps(run.predict_proba))
    code = (
        "import pickle, sys; predict = pickle.load(open(sys.argv[1], 'rb')); "
        "sys.stdout.buffer.write(predict(sys.argv[2:]).tobytes())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "predict", *TEXTS], check=True, capture_output=True
    )
    assert done.stdout == run.predict_proba(TEXTS).tobytes()


def test_threads_of_a_worker(run: LoadedRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FASTLSTM_NUM_THREADS", raising=False)
    monkeypatch.setattr(runtime, "_num_threads", None)
    monkeypatch.setattr(runtime, "_available_cores", lambda: 8)
    monkeypatch.setattr(runtime, "_default_threads", lambda: 8)
    used = []
    logits = type(run.parts).logits

    def watched(*given: Any) -> Any:
        used.append(fl.get_num_threads())
        return logits(*given)

    monkeypatch.setattr(type(run.parts), "logits", watched)
    here = pickle.loads(pickle.dumps(run))
    monkeypatch.setattr("fastlstm.train.classifier.loaded_run._OWN", "another process")
    for environment, expected in (("3", 3), ("64", 8), ("2,1", 2), ("", 8), ("0", 8), ("x", 8)):
        monkeypatch.setenv("OMP_NUM_THREADS", environment)
        here.predict(TEXTS)
        assert used.pop() == expected, environment
        run.predict(TEXTS)  # which was not sent
        assert used.pop() == 8
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    with fl.num_threads(5):
        here.predict(TEXTS)
    fl.set_num_threads(7)
    here.predict(TEXTS)
    assert used == [5, 7]
