"""Keras's backend is chosen at its import: the tests in on_backend/ run in a child for each."""

from __future__ import annotations

import os

collect_ignore = [] if os.environ.get("FASTLSTM_TEST_KERAS") else ["on_backend"]
