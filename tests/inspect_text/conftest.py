"""The vocabulary of the small models."""

from __future__ import annotations

import pytest
from inspect_models import WORDS

from fastlstm.text import Vocabulary


@pytest.fixture
def vocab() -> Vocabulary:
    return Vocabulary(["<pad>", "<unk>", *WORDS])
