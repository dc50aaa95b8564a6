"""What a planted fault is."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """A change of a source that is wrong.

    Attributes
    ----------
    file : in the folder of the project.
    old, new : the text there, which must occur once, and what takes its place.
    tests : files of tests, or folders of them, of which at least one must fail.
    only : of them those with such names, as pytest's ``-k``.
    """

    file: str
    old: str
    new: str
    tests: str
    only: str = ""

    @property
    def compiled(self) -> bool:
        """Whether it is in a source of the extension."""
        return "/kernels/" in self.file and not self.file.endswith(".py")
