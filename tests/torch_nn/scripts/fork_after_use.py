"""Use a model, then fork a pool that uses it: torch's own LSTM hangs there from 90 units on."""

import multiprocessing

import torch

import fastlstm.torch as ft

SIZES = (32, 64, 90, 128, 256, 512)


def run(model: torch.nn.Module, size: int) -> torch.Tensor:
    x = torch.full((1, 5, 20), 0.1)
    y = model(x)[0]
    y.sum().backward()
    return y.detach().sum() + model.weight_hh_l0.grad.sum()


def work(size: int) -> float:
    torch.manual_seed(size)
    return float(run(ft.LSTM(20, size, 2, batch_first=True), size))


def main() -> None:
    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    for size in SIZES:
        expected = work(size)
        with context.Pool(2) as pool:
            assert pool.map_async(work, [size] * 4).get(timeout=600) == [expected] * 4
        assert work(size) == expected
    print("all right")


if __name__ == "__main__":
    main()
