"""Where downloads are kept, and what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from fastlstm.files.naming import named_path


def cache_folder() -> Path:
    """Return the folder for downloads, encodings and compiled code, which may not exist yet.

    It is ``FASTLSTM_CACHE`` of the environment, else the cache folder of the platform.
    """
    chosen = os.environ.get("FASTLSTM_CACHE")
    if chosen:
        return named_path(chosen)
    import platformdirs

    return platformdirs.user_cache_path("fastlstm", appauthor=False)
