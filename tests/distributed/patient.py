"""`train_imdb` for mpiexec and torchrun: processes that end alike wait for each other, though the
machine is busy."""

from __future__ import annotations

import sys

from fastlstm import train_imdb
from fastlstm.cli import processes
from fastlstm.distributed import background

if __name__ == "__main__":
    processes.GRACE = background.GRACE = 600.0
    sys.exit(train_imdb.main())
