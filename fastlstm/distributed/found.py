"""What started this process, as its environment tells."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

KINDS = ("auto", "mpi", "torch", "none")

# What launchers tell of MPI's processes: Hydra (MPICH, Intel), Open MPI, and PMIx (Slurm).
MPI_RANKS = ("PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK")
MPI_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE")
TORCH_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class Found(NamedTuple):
    """Which engine the launcher is of, and the place of this process; size is 0 if not told."""

    kind: str
    rank: int = 0
    size: int = 1


def found() -> Found:
    """Return what the environment tells; without a launcher, one process."""
    if all(name in os.environ for name in TORCH_NAMES):
        return Found("torch", _number("RANK"), _number("WORLD_SIZE"))
    if _is_torch_ready():  # as where Ray Train started it
        return Found("torch", 0, 0)
    ranks = [name for name in MPI_RANKS if name in os.environ]
    if ranks:
        sizes = [name for name in MPI_SIZES if name in os.environ]
        return Found("mpi", _number(ranks[0]), _number(sizes[0]) if sizes else 0)
    return Found("none")


def _is_torch_ready() -> bool:
    if "torch.distributed" not in sys.modules:
        return False
    torch = sys.modules["torch.distributed"]
    return bool(torch.is_available() and torch.is_initialized())


def _number(name: str) -> int:
    try:
        return max(0, int(os.environ[name]))
    except ValueError:
        raise ValueError(f"{name}={os.environ[name]!r:.60}, expected a whole number") from None
