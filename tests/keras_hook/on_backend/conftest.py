"""Keras's NumPy backend imports jax, for convolutions and Fourier transforms that no test needs."""

from __future__ import annotations

import importlib.util
import os
import sys
from types import ModuleType, SimpleNamespace

import pytest

if os.environ["KERAS_BACKEND"] == "numpy" and importlib.util.find_spec("jax") is None:
    sys.modules["jax"] = sys.modules["jax.lax"] = jax = ModuleType("jax")
    sys.modules["keras.src.backend.jax.math"] = fourier = ModuleType("keras.src.backend.jax.math")
    vars(jax).update(lax=None, monitoring=SimpleNamespace())
    vars(fourier).update(fft=None, fft2=None)


@pytest.fixture(autouse=True)
def counted_from_zero() -> None:
    import fastlstm.keras as fk

    fk.clear_report()
