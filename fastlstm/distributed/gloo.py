"""Processes that torch.distributed connects, by gloo: ``torchrun --nproc-per-node 2 ...``."""

from __future__ import annotations

import atexit
import copy
import os
import sys
import threading
from datetime import timedelta
from typing import Any

import numpy as np

from fastlstm.distributed.processes import AnyArray, Processes

PATIENCE = timedelta(hours=24)  # of a process that waits for one that lives; a dead one is noticed


class GlooProcesses(Processes):
    """All processes of the default group, which is made if the program has made none."""

    def __init__(self) -> None:
        try:
            import torch
            import torch.distributed as dist
        except ImportError as error:
            raise ImportError(
                'several processes under torchrun need torch: pip install "fastlstm[torch]"'
            ) from error
        if not dist.is_available():
            raise ImportError("this torch was built without torch.distributed")
        self._torch, self._dist = torch, dist
        ours = not dist.is_initialized()
        if ours:
            dist.init_process_group("gloo")
        # a group of our own: that of the program may have another backend
        self._group = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._meeting = dist.new_group(backend="gloo")
        self._apart: GlooProcesses | None = None
        # the newer of two names for one thing
        self._gather = "all_gather_single"
        if not hasattr(dist, self._gather):
            self._gather = "all_gather_into_tensor"
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        atexit.register(self._close, whole=ours)

    def _close(self, *, whole: bool) -> None:
        """Let go of the groups made here, the default one too if it is.

        Threads of gloo that are still there when Python has ended end the process by an abort.
        """
        if not self._dist.is_initialized():
            return  # the program has let go of all
        own = [self._group, self._meeting] + ([self._apart._group] if self._apart else [])
        for group in [None] if whole else own:
            self._dist.destroy_process_group(group)

    def gather(self, array: AnyArray) -> AnyArray:
        sent = _bytes(array)
        came = np.empty((self.size, len(sent)), np.uint8)
        if len(sent):
            self._call(self._gather, came.reshape(-1), sent)
        return came.reshape(-1).view(array.dtype).reshape(self.size, *array.shape)

    def exchange(self, array: AnyArray) -> AnyArray:
        sent = _bytes(array)
        came = np.empty_like(sent)
        if len(sent):
            self._call("all_to_all_single", came, sent)
        return came.view(array.dtype).reshape(array.shape)

    def apart(self) -> GlooProcesses | None:
        if self._apart is None:
            self._apart = copy.copy(self)
            self._apart._group = self._dist.new_group(backend="gloo", timeout=PATIENCE)
            self._apart.hurry = threading.Event()  # gloo's calls sleep while they wait
        return self._apart

    def _call(self, name: str, came: AnyArray, sent: AnyArray) -> None:
        tensors = [self._torch.from_numpy(array) for array in (came, sent)]
        call: Any = getattr(self._dist, name)
        try:
            call(*tensors, group=self._group)
        except RuntimeError as error:
            raise self.lost() from error

    def meet(self, seconds: float) -> bool:
        try:
            work = self._dist.barrier(self._meeting, async_op=True)
            if self.waited(work.is_completed, seconds):
                work.wait()  # raises if another process has ended
                return True
        except RuntimeError:
            pass
        return False

    def abort(self, status: int) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)  # the others notice it, and so does torchrun


def _bytes(array: AnyArray) -> AnyArray:
    """Return an array as bytes, which gloo sends as they are."""
    return np.require(array, requirements=["C", "W"]).reshape(-1).view(np.uint8)
