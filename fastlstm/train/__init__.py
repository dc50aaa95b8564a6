"""Training: optimizers, schedules, averaging, checkpoints and the loop that uses them."""

from fastlstm.train.average import Average
from fastlstm.train.checkpoint import CheckpointError
from fastlstm.train.clip import clip_factor, clip_grad_norm_
from fastlstm.train.evaluate import evaluate
from fastlstm.train.history import Epoch, History
from fastlstm.train.listener import Listener
from fastlstm.train.metrics import Running, count_correct
from fastlstm.train.optim import SGD, Adam, AdamW, Optimizer
from fastlstm.train.prefetch import prefetch
from fastlstm.train.recurrent_state import load_state, save_state
from fastlstm.train.scoring.spans import SpanScores, span_scores, spans
from fastlstm.train.tasks.regression import Regression
from fastlstm.train.tasks.supervised import Classification, Supervised
from fastlstm.train.tasks.tagging import Tagging
from fastlstm.train.tasks.task import Outcome, Task
from fastlstm.train.trainer import Trainer, TrainingInterrupted

__all__ = [
    "Task",
    "Supervised",
    "Outcome",
    "Classification",
    "SGD",
    "Adam",
    "AdamW",
    "Average",
    "CheckpointError",
    "Epoch",
    "History",
    "Listener",
    "Optimizer",
    "Regression",
    "Running",
    "SpanScores",
    "Tagging",
    "Trainer",
    "TrainingInterrupted",
    "clip_factor",
    "clip_grad_norm_",
    "count_correct",
    "evaluate",
    "load_state",
    "prefetch",
    "save_state",
    "span_scores",
    "spans",
]
