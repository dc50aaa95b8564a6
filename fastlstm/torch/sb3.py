"""The recurrent policies of sb3-contrib on fastlstm's kernels, by the same names.

``RecurrentPPO(MlpLstmPolicy, env)`` with the class of this module is ``"MlpLstmPolicy"`` after
`accelerate`. An agent is saved with the class of its policy, so that ``RecurrentPPO.load`` brings
the kernels back, which it cannot where the policy alone was accelerated.
"""

from typing import Any

from fastlstm.torch.accelerate import accelerate

try:
    from sb3_contrib.ppo_recurrent import policies
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in ("sb3_contrib", "stable_baselines3"):
        raise
    raise ImportError("fastlstm.torch.sb3 needs sb3-contrib: pip install 'fastlstm[rl]'") from error

__all__ = ["CnnLstmPolicy", "MlpLstmPolicy", "MultiInputLstmPolicy"]


class MlpLstmPolicy(policies.MlpLstmPolicy):
    """sb3-contrib's policy for vectors, accelerated; see there for its arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        accelerate(self)


class CnnLstmPolicy(policies.CnnLstmPolicy):
    """sb3-contrib's policy for pictures, accelerated; see there for its arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        accelerate(self)


class MultiInputLstmPolicy(policies.MultiInputLstmPolicy):
    """sb3-contrib's policy for dicts of observations, accelerated; see there for its arguments."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        accelerate(self)
