"""Run folders that somebody tampered with: what is changed in them, drawn by a seed.

Each file of a run is changed in one of many ways: as bytes, as JSON (with any value in any place),
and as a safetensors file whose checksum is right again. ``python tests/cli/tampered.py RUN COUNT
SEED`` tries so many on copies of a run and prints what was not answered by a clear error.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load as read_tensors

from fastlstm.cli import main
from fastlstm.train import checkpoint

SECONDS = 600  # that a command may take, on a busy machine too; it needs a few hundredths

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 1.5, -0.0, 1e308, 1e-308, 2**31, 2**63, 2**64, 2**100,
    10**400, "", "x", "lstm", "0", "\ud800", "a\x00b", "\x1b[2J", "9" * 5000, [], {}, [0], [[]],
    ["a", "b"], {"a": 1}, [None], float("nan"), float("inf"), -float("inf"),
)  # fmt: skip
DEEP = "[" * 100_000 + "]" * 100_000
TENSORS = ("model.safetensors", "checkpoint.safetensors", "trained_texts.safetensors")
JSON = ("config.json", "metrics.json", "vocab.json", "compare.json")


def tamper(folder: Path, rng: random.Random) -> str:
    """Change a file of the folder; return what was done."""
    path = rng.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    ways: list[Callable[[Path, random.Random], str]] = [_bytes, _bytes, _replaced]
    if path.name in JSON:
        ways += [_json] * 8
    elif path.name == "metrics.jsonl":
        ways += [_json_line] * 4
    elif path.name in TENSORS:
        ways += [_note] * 8 + [_tensor] * 4 + [_header] * 2
    return f"{path.relative_to(folder)}: {rng.choice(ways)(path, rng)}"


def _bytes(path: Path, rng: random.Random) -> str:
    data = bytearray(path.read_bytes())
    way = rng.choice(("flip", "cut", "grow", "insert"))
    for _ in range(rng.choice((1, 1, 3, 20))):
        place = rng.randrange(len(data) + 1)
        if way == "flip" and data:
            data[place % len(data)] = rng.randrange(256)
        elif way == "cut":
            del data[place:]
        elif way == "grow":
            data += rng.randbytes(9)
        else:
            data[place:place] = rng.choice((b"\xff\xfe", b'"', b"{", b",", b"\x00", b"9" * 50))
    path.write_bytes(data)
    return way


def _replaced(path: Path, rng: random.Random) -> str:
    way = rng.choice(("empty", "deep", "folder", "gone", "pipe", "null", "number", "list", "link"))
    path.unlink()
    if way == "folder":
        path.mkdir()
    elif way == "pipe" and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif way == "link":
        path.symlink_to(path)
    elif way != "gone":
        texts = {"deep": DEEP, "null": "null", "number": "1e999", "list": "[1, 2]"}
        path.write_text(texts.get(way, ""))
    return way


def _json(path: Path, rng: random.Random) -> str:
    value = json.loads(path.read_text(encoding="utf-8"))
    value, told = _changed(value, rng)
    path.write_text(_text(value, rng), encoding="utf-8", errors="surrogatepass")
    return told


def _json_line(path: Path, rng: random.Random) -> str:
    lines = path.read_text(encoding="utf-8").splitlines()
    place = rng.randrange(len(lines))
    value, told = _changed(json.loads(lines[place]), rng)
    lines[place] = json.dumps(value)
    path.write_text("\n".join(lines), encoding="utf-8")
    return f"line {place}: {told}"


def _text(value: Any, rng: random.Random) -> str:
    text = json.dumps(value)
    if rng.random() < 0.1 and isinstance(value, dict) and value:
        name = rng.choice(sorted(value))
        text = f"{text[:-1]}, {json.dumps(name)}: {json.dumps(rng.choice(VALUES))}}}"  # twice
    if rng.random() < 0.05:
        text = text.replace(": ", f': {DEEP}, "x": ', 1)
    return text


def _changed(value: Any, rng: random.Random) -> tuple[Any, str]:
    """Return JSON with another value at a random place, or a name less or more."""
    places = list(_places(value))
    parent, name = rng.choice(places) if places else (None, None)
    way = rng.choice(("put", "put", "put", "remove", "add", "all"))
    new = rng.choice(VALUES)
    if parent is None or way == "all" and rng.random() < 0.2:
        return new, f"all is {new!r:.50}"
    if way == "remove":
        del parent[name]
    elif way == "add" and isinstance(parent, dict):
        parent[rng.choice(("x", "rng", "self", "__class__", ""))] = new
    else:
        parent[name] = new
    return value, f"{way} {name!r} {new!r:.50}"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    keys = value.keys() if isinstance(value, dict) else range(len(value))
    for key in keys:
        yield value, key
        if isinstance(value[key], (dict, list)) and value[key]:
            yield from _places(value[key])


def _parts(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    return dict(read_tensors(data)), json.loads(header["__metadata__"]["fastlstm"])


def _note(path: Path, rng: random.Random) -> str:
    tensors, header = _parts(path)
    note, told = _changed(header["note"], rng)
    if not isinstance(note, dict) and rng.random() < 0.5:
        note = {"note": note}
    with contextlib.suppress(ValueError, UnicodeEncodeError):  # NaN and the like cannot be written
        checkpoint.save(path, tensors, header["kind"], note)
    return f"note {told}"


def _tensor(path: Path, rng: random.Random) -> str:
    tensors, header = _parts(path)
    name = rng.choice(sorted(tensors)) if tensors else "x"
    old = tensors.get(name, np.zeros(3, np.float32))
    way = rng.choice(("drop", "add", "shape", "type", "empty", "nan", "scalar", "large", "cut"))
    new = {
        "drop": None, "add": old, "shape": old.reshape(-1), "type": old.astype(np.int8),
        "empty": old[:0] if old.ndim else old, "nan": np.zeros_like(old),
        "cut": old[:1] if old.ndim else old,
        "scalar": np.array(7), "large": np.zeros((3000, 3), old.dtype),
    }[way]  # fmt: skip
    if way == "nan" and old.dtype.kind == "f":
        new = np.full_like(old, np.nan)
    if way == "drop":
        tensors.pop(name, None)
    else:
        tensors["x/y" if way == "add" else name] = new
    checkpoint.save(path, tensors, header["kind"], header["note"])
    return f"{way} {name}"


def _header(path: Path, rng: random.Random) -> str:
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + size])
    header, told = _changed(header, rng)
    text = json.dumps(header).encode("utf-8", "surrogatepass")
    claimed = rng.choice((len(text), len(text), len(text), 2**40, 2**63, 0))
    path.write_bytes(struct.pack("<Q", claimed) + text + data[8 + size :])
    return f"header {told}, {claimed}"


def commands(run: Path, data: Path) -> list[list[str]]:
    """Return the command lines that read a run."""
    texts = ["word1 music1 music2", "sport1 unheard"]
    return [
        ["info", str(run)],
        ["info", str(run), "--json"],
        ["predict", str(run), *texts, "--probabilities", "--no-progress"],
        ["evaluate", str(run), str(data), "--no-progress"],
        ["inspect", str(run), texts[0]],
        ["compare", str(run), str(run.parent / "good"), "--json"],
        ["compare", str(run), str(run.parent / "good")],
        ["train", "--resume", str(run), "--quiet"],
        ["train", "--resume", str(run), "--epochs", "3", "--quiet"],
    ]


class TooLongError(BaseException):
    """A command took longer than it may."""


def ends_well(line: list[str], start: Callable[[list[str]], int] = main) -> str:
    """Run a command; return "" if it went well or told a clear error, else what it did."""

    def late(*_: object) -> None:
        raise TooLongError

    told, before = io.StringIO(), signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
            status = start(line)
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    said = told.getvalue().strip()
    clear = status in (0, 1, 2) and "FASTLSTM_DEBUG" not in said and "Traceback" not in said
    return "" if clear and "out of memory" not in said else f"{status} {said}"[-400:]


def attack(run: Path, data: Path, count: int, seed: int) -> Iterator[str]:
    """Yield what went wrong on `count` tampered copies of a run, each read by one command."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(run, Path(place) / "good")
        for number in range(seed, seed + count):
            rng, copy = random.Random(number), Path(place) / "run"
            shutil.copytree(run, copy)
            done = tamper(copy, rng)
            line = rng.choice(commands(copy, data))
            wrong = ends_well(line)
            if wrong:
                yield f"seed {number}: {done}; {line[0]}: {wrong}"
            shutil.rmtree(copy)


if __name__ == "__main__":
    found = list(attack(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
    print("\n".join(found))
    print(f"{len(found)} of {sys.argv[3]} were not answered by a clear error")
