"""Tests of ONNX files; the folder cannot be called after the package, which it would hide."""

from __future__ import annotations

import importlib.util

collect_ignore_glob = [] if importlib.util.find_spec("onnx") else ["test_*"]
