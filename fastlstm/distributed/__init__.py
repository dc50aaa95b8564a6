"""Training in several processes, which share each batch: under MPI, or torch.distributed (gloo).

>>> from fastlstm import distributed
>>> with distributed.start() as processes:  # mpirun -n 4 python mine.py
...     processes.rank, processes.size
(0, 1)
"""

from fastlstm.distributed.launch import current, join, start
from fastlstm.distributed.processes import Processes, ProcessesDiffer, ProcessLost

__all__ = ["Processes", "ProcessLost", "ProcessesDiffer", "current", "join", "start"]
