"""`make asan` really runs kernels with sanitizers in them; it sets FASTLSTM_EXPECT_SANITIZER=1."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from fastlstm import kernels


@pytest.mark.skipif(os.environ.get("FASTLSTM_EXPECT_SANITIZER") != "1", reason="only for make asan")
def test_kernels_hold_the_sanitizers() -> None:
    from fastlstm.kernels.native import _native

    assert kernels.default_backend() == "native"
    binary = Path(_native.__file__).read_bytes()
    assert b"__asan_report_store" in binary
    assert b"__ubsan_handle" in binary
