"""What differs between Keras's backends; `on_torch` says what each function does."""

from importlib import import_module
from typing import Any

from keras import backend

# On a third one the hook cannot be switched on: `hook.enable` says so.
_name = "torch" if backend.backend() == "torch" else "numpy"
_here: Any = import_module(f"fastlstm.keras.on_{_name}")

cast_like = _here.cast_like
concatenate = _here.concatenate
copy = _here.copy
flip = _here.flip
is_quick_step = _here.is_quick_step
run_cell = _here.run_cell
take = _here.take
where = _here.where
why_not_tensors = _here.why_not_tensors
zeros_like = _here.zeros_like
