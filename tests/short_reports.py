"""Reports of passed tests, as short as they can be.

Of each test pytest-xdist sends three from process to process: with all keywords of the test they
take a millisecond longer.
"""

from __future__ import annotations

from typing import Any

import pytest

KIND = "passed"
FIELDS = ("nodeid", "location", "when", "duration", "start", "stop")


@pytest.hookimpl(tryfirst=True)
def pytest_report_to_serializable(report: Any) -> dict[str, Any] | None:
    """Return what is to be known of a test that passed and printed nothing; None of others."""
    if not isinstance(report, pytest.TestReport) or not report.passed:
        return None
    if report.sections or report.user_properties or hasattr(report, "wasxfail"):
        return None
    return {"kind": KIND, **{name: getattr(report, name) for name in FIELDS}}


@pytest.hookimpl(tryfirst=True)
def pytest_report_from_serializable(data: dict[str, Any]) -> pytest.TestReport | None:
    """Return the report of what `pytest_report_to_serializable` has made; None of others'."""
    if data.get("kind") != KIND:
        return None
    given = {name: data[name] for name in FIELDS}
    return pytest.TestReport(**given, keywords={}, outcome="passed", longrepr=None)
