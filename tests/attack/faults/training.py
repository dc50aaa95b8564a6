"""Faults in layers, optimizers, the trainer and what it keeps."""

from __future__ import annotations

from attack.faults.fault import Fault

_TRAIN = "fastlstm/train/"
_LOOP = "tests/train/test_trainer.py tests/train/test_train_against_torch.py"

TRAINING = (
    Fault(
        "fastlstm/nn/module.py",
        "return tape._kept.pop()",
        "return tape._kept[0]",
        "tests/nn/test_recurrent.py",
    ),
    Fault(
        "fastlstm/runtime.py",
        "chosen = _num_threads  #",
        "chosen = None  #",
        "tests/test_runtime.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        "progress = (step + 0.5) / (steps_per_epoch * self.epochs)",
        "progress = step / (steps_per_epoch * self.epochs)",
        _LOOP,
    ),
    Fault(
        _TRAIN + "trainer.py",
        "        self.optimizer.zero_grad()\n",
        "",
        _LOOP,
    ),
    Fault(
        _TRAIN + "trainer.py",
        "rng = generator(self.seed, DROPOUT, history.step)",
        "rng = generator(self.seed, DROPOUT, history.batch)",
        "tests/train/test_trainer.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        "for batch in islice(batches(epoch, start), steps_per_epoch - start):",
        "for batch in islice(batches(epoch, 0), steps_per_epoch - start):",
        "tests/train/test_resume.py tests/train/test_trainer.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        "        self.model.load_state_dict(self.best_weights)\n        return self.history",
        "        return self.history",
        "tests/train/test_trainer.py tests/train/test_average.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        '            self.average.load_state_dict(parts.get("average", {}))',
        "            pass",
        "tests/train/test_resume.py",
    ),
    Fault(
        _TRAIN + "trainer.py",
        "0 < self.patience <= done - self.history.best",
        "0 < self.patience < done - self.history.best",
        "tests/train/test_trainer.py",
    ),
    Fault(
        _TRAIN + "optim.py",
        "rate=self.lr / (1.0 - beta1**self.steps)",
        "rate=self.lr / (1.0 - beta1 ** (self.steps + 1))",
        "tests/train/test_optim.py",
    ),
    Fault(
        _TRAIN + "optim.py",
        "shrink=1.0 - self.lr * self.weight_decay if self.decoupled else 1.0",
        "shrink=1.0 - self.weight_decay if self.decoupled else 1.0",
        "tests/train/test_optim.py",
    ),
    Fault(
        _TRAIN + "optim.py",
        "g = g + self.momentum * velocity if self.nesterov else velocity",
        "g = velocity",
        "tests/train/test_optim.py",
    ),
    Fault(
        _TRAIN + "state.py",
        "        self.steps = int(step)\n\n    def _named_state",
        "\n    def _named_state",
        "tests/train/test_optim.py tests/train/test_resume.py",
    ),
    Fault(
        _TRAIN + "average.py",
        "age = self.steps - last[rows]",
        "age = 1 + 0 * last[rows]",
        "tests/train/test_average.py",
    ),
    Fault(
        _TRAIN + "average.py",
        "scale = 1.0 / -math.expm1(self.steps * self._log_decay)",
        "scale = 1.0",
        "tests/train/test_average.py",
    ),
    Fault(
        _TRAIN + "clip.py",
        "max_norm / (norm + 1e-6) if norm > max_norm else 1.0",
        "max_norm / (norm + 1e-6)",
        "tests/train/test_clip.py",
    ),
    Fault(
        _TRAIN + "clip.py",
        "return parameter.grad if parameter.rows is None else parameter.rows.value",
        "return parameter.grad",
        "tests/train/test_clip.py",
    ),
    Fault(
        _TRAIN + "schedule.py",
        "return fall((progress - warmup) / (1.0 - warmup))",
        "return fall(progress)",
        "tests/train/test_schedule.py",
    ),
    Fault(
        _TRAIN + "metrics.py",
        "self.loss_sum += loss * examples",
        "self.loss_sum += loss",
        "tests/train/test_metrics.py",
    ),
    Fault(
        _TRAIN + "state.py",
        "given[name].shape != array.shape or given[name].dtype != array.dtype",
        "given[name].shape != array.shape",
        "tests/train/test_optim.py tests/train/test_average.py tests/train/test_checkpoint.py",
    ),
    Fault(
        "fastlstm/nn/recurrent/reset.py",
        "starts, backward, done = _moved(here, 1), here, here",
        "starts, backward, done = here, here, here",
        "tests/nn/test_reset.py",
    ),
    Fault(
        "fastlstm/nn/parameter.py",
        "total[np.searchsorted(merged, part.index)] += part.value",
        "total[np.searchsorted(merged, part.index)] = part.value",
        "tests/nn/test_module.py tests/nn/test_embedding.py",
    ),
    Fault(
        "fastlstm/nn/losses.py",
        "d[n, t] -= z.dtype.type((1 - even) / N)",
        "d[n, t] -= z.dtype.type(1 / N)",
        "tests/nn/test_losses.py",
    ),
    Fault(
        "fastlstm/nn/dropout.py",
        "mask *= 1 / (1 - p)",
        "mask *= 1",
        "tests/nn/test_dropout.py",
    ),
    Fault(
        "fastlstm/nn/embedding.py",
        "keep = index != self.padding_idx",
        "keep = index != -1",
        "tests/nn/test_embedding.py",
    ),
)
