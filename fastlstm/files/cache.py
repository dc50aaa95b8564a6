"""Where downloads are kept, and what can be made again."""

from __future__ import annotations

import os
from pathlib import Path

from fastlstm.files.naming import named_path


def cache_folder() -> Path:
    """Return the folder for downloads, encodings and compiled code, which may not exist yet.

    It is ``FASTLSTM_CACHE`` of the environment, else the cache folder of the platform. Raises
    OSError if there is none, as for a user without a home folder.
    """
    chosen = os.environ.get("FASTLSTM_CACHE")
    if chosen:
        return named_path(chosen)
    import platformdirs

    try:
        folder = platformdirs.user_cache_path("fastlstm", appauthor=False)
    except RuntimeError:  # earlier versions return a folder of this name, in that of the process
        folder = Path("~")
    if folder.parts[0] == "~":
        raise OSError(
            "there is no home folder to keep a cache in: set FASTLSTM_CACHE to a folder, or HOME"
        )
    return folder
