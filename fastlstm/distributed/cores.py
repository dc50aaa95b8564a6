"""Which processes run on the same cores."""

from __future__ import annotations

import json
import os
import platform

from fastlstm.distributed.processes import Processes


def sharing(processes: Processes) -> int:
    """Return how many processes may run on the very cores of this one, itself included.

    Where a launcher gave each process cores of its own, that is one.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    own = json.dumps([platform.node(), cores]).encode()
    return processes.gather_bytes(own).count(own)
