"""typing's Unpack, for annotations of keywords: they are read when programs ask for type hints."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    from typing import Unpack as Unpack  # again by its name: so type checkers take it from here
elif TYPE_CHECKING:
    from typing_extensions import Unpack as Unpack
else:

    class Unpack:
        """Stands for it in Python 3.10, which has none: ``Unpack[Options]`` is Options there."""

        def __class_getitem__(cls, options: Any) -> Any:
            return options
