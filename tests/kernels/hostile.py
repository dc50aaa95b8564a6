"""A problem for arguments made to do harm."""

from __future__ import annotations

from cases import Case

CASE = Case(4, 3, 5, 6)
HUGE = 1 << 40
