"""``train_imdb`` for mpiexec and torchrun, where process 1 has another option."""

from __future__ import annotations

import os
import sys

from fastlstm.distributed.found import found
from fastlstm.train_imdb import main

if __name__ == "__main__":
    words = sys.argv[1:]
    sys.exit(main([*words, os.environ["DIFFERENT"]] if found().rank == 1 else words))
