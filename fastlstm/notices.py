"""The warnings that this package gives: all of one category, by which they can be filtered."""

from __future__ import annotations


class FastlstmWarning(UserWarning):
    """Base of all warnings of this package.

    ``warnings.simplefilter("error", fastlstm.FastlstmWarning)`` makes errors of them alone.
    """


class IdleWarning(FastlstmWarning):
    """An option does nothing beside others, or for such data."""


class SlowWarning(FastlstmWarning, RuntimeWarning):
    """Something takes longer than it need: the compiled kernels, or a place to keep code, lack."""


class UnlockedWarning(FastlstmWarning, RuntimeWarning):
    """A folder cannot be locked against other processes."""
