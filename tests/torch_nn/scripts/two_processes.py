"""Gradients of two processes over gloo against those of one: DistributedDataParallel and FSDP.

The second frees the weights of a layer between its calls, and brings them back elsewhere.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import fastlstm.torch as ft

ROWS = 8


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = ft.LSTM(6, 10, 2, bidirectional=True)
        self.gru = ft.GRU(20, 5)
        self.cell = ft.RNNCell(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(self.gru(self.lstm(x)[0])[0][-1])


def sharded(model: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (2,))
    for part in (*model.children(), model):
        fully_shard(part, mesh=mesh)
    return model


def gradients(
    x: torch.Tensor, wrapped: Callable[[nn.Module], nn.Module] = lambda model: model
) -> list[torch.Tensor]:
    torch.manual_seed(0)
    model = Model().double()
    run = wrapped(model)
    for _ in range(2):
        model.zero_grad()
        run(x).square().mean().backward()
    found = [p.grad for p in model.parameters()]
    return [g.full_tensor() if hasattr(g, "full_tensor") else g for g in found]


def work(rank: int, store: str, out: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    torch.manual_seed(1)
    x = torch.randn(7, ROWS, 6, dtype=torch.float64)
    half = x[:, rank * ROWS // 2 : (rank + 1) * ROWS // 2]
    found = [gradients(half, wrapped) for wrapped in (DistributedDataParallel, sharded)]
    torch.save(found, f"{out}/{rank}.pt")
    dist.destroy_process_group()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.start_processes(
            work, (str(Path(folder) / "store"), folder), nprocs=2, start_method="spawn"
        )
        torch.manual_seed(1)
        expected = gradients(torch.randn(7, ROWS, 6, dtype=torch.float64))
        for rank in range(2):
            for found in torch.load(f"{folder}/{rank}.pt"):
                torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    print("gradients equal")


if __name__ == "__main__":
    main()
