"""Faults in what reads and writes: checkpoints, folders of runs, texts, batches."""

from __future__ import annotations

from attack.faults.fault import Fault

_TEXT, _TRAIN = "fastlstm/text/", "fastlstm/train/"

FILES = (
    Fault(
        _TRAIN + "checkpoint.py",
        "if crc32 != _checksum(tensors, note):",
        "if crc32 is None:",
        "tests/train/test_checkpoint.py",
    ),
    Fault(
        _TRAIN + "checkpoint.py",
        "if found != kind and earlier.KINDS.get(str(found)) != kind:",
        "if not found:",
        "tests/train/test_checkpoint.py",
    ),
    Fault(
        _TRAIN + "checkpoint.py",
        "if version != VERSION:",
        "if version is None:",
        "tests/train/test_checkpoint.py",
    ),
    Fault(
        "fastlstm/files/writing.py",
        "            temporary.unlink()",
        "            pass",
        "tests/text/test_cache.py tests/train/test_checkpoint.py tests/text/test_vocabulary.py",
    ),
    Fault(
        "fastlstm/files/writing.py",
        'temporary = place.with_name(f".{_cut(place.name)}.{secrets.token_hex(4)}.tmp")',
        "temporary = place",
        "tests/text/test_cache.py tests/train/test_checkpoint.py tests/text/test_vocabulary.py",
    ),
    Fault(
        _TRAIN + "output_folder.py",
        "remove_temporary(self.path, self.FILES)",
        "pass",
        "tests/cli/test_cli_folder.py",
    ),
    Fault(
        _TRAIN + "output_folder.py",
        "            with self._lock:\n",
        "            if self._lock:\n",
        "tests/train tests/cli/test_cli_folder.py",
        "folder or lock or writer",
    ),
    Fault(
        _TRAIN + "output_folder.py",
        "        if self.is_ours:\n            return\n        foreign",
        "        if self.path:\n            return\n        foreign",
        "tests/cli/test_cli_folder.py",
    ),
    Fault(
        _TRAIN + "classifier/run_folder.py",
        "        self.checkpoint.unlink(missing_ok=True)\n",
        "",
        "tests/train/test_train_imdb.py tests/train/test_train_imdb_resume.py",
    ),
    Fault(
        _TRAIN + "checkpoint.py",
        "if saved.get(name) != own.get(name))",
        "if name not in saved)",
        "tests/train/test_resume.py tests/train/test_checkpoint.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        '            self.optimizer.load_state_dict(parts.get("optimizer", {}))\n',
        "",
        "tests/train/test_resume.py",
    ),
    Fault(
        _TEXT + "batches.py",
        "rng = np.random.default_rng([seed, epoch])",
        "rng = np.random.default_rng([seed])",
        "tests/text/test_batches.py",
    ),
    Fault(
        _TEXT + "batches.py",
        "return plan[start:]",
        "return plan",
        "tests/text/test_batches.py",
    ),
    Fault(
        _TEXT + "encoded.py",
        "tail = np.where(full > max_length, max_length // 2 if",
        "tail = np.where(full > max_length, max_length // 3 if",
        "tests/text/test_encoded.py",
    ),
    Fault(
        _TEXT + "encoded.py",
        "tokens = np.where(self.tokens < vocab_size",
        "tokens = np.where(self.tokens <= vocab_size",
        "tests/text/test_encoded.py",
    ),
    Fault(
        _TEXT + "token_list.py",
        "key=lambda token: (-counts[token], token)",
        "key=lambda token: -counts[token]",
        "tests/text/test_vocabulary.py",
    ),
    Fault(
        _TEXT + "split.py",
        "count = min(max(1, round(fraction * len(rows))), len(rows) - 1)",
        "count = round(fraction * len(rows))",
        "tests/text/test_split.py",
    ),
    Fault(
        _TEXT + "cache.py",
        'if stored["key"].tobytes().decode("utf-8") != key:',
        "if not key:",
        "tests/text/test_cache.py",
    ),
    Fault(
        _TEXT + "tables.py",
        "if len(record) < named or any(record[len(columns) :]):",
        "if len(record) < named:",
        "tests/text/test_labelled.py tests/text",
        "labelled or table or rows",
    ),
    Fault(
        _TEXT + "keras_npz.py",
        "elif ranks.min(initial=1) < 1:",
        "elif ranks.min(initial=1) < -9:",
        "tests/text/test_keras_npz.py",
    ),
    Fault(
        _TEXT + "reviews.py",
        "while stream.read(1 << 20):",
        "while False:",
        "tests/text/test_reviews.py tests/text/test_imdb.py",
    ),
    Fault(
        _TEXT + "vector_file.py",
        "if len(fields) != self.size:",
        "if False:",
        "tests/text/test_word_vectors.py",
    ),
    Fault(
        _TEXT + "marks.py",
        "pieces = between[1:]",
        "pieces = [piece for piece in between if piece != _UNDERSCORE]",
        "tests/text/test_marks.py",
    ),
    Fault(
        _TEXT + "labels.py",
        "        found.sort(key=Decimal)\n",
        "        pass\n",
        "tests/text/test_labels.py",
    ),
)
