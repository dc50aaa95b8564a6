"""What processes that share the tests tell each other of them."""

from __future__ import annotations

from typing import Any

import pytest
import short_reports

PASSED: dict[str, Any] = {
    "nodeid": "tests/test_a.py::test_b[1]",
    "location": ("tests/test_a.py", 3, "test_b[1]"),
    "when": "call",
    "duration": 0.5,
    "start": 1.0,
    "stop": 1.5,
}


def report(outcome: Any = "passed", **changed: Any) -> pytest.TestReport:
    given = {**PASSED, "keywords": {"slow": 1}, "outcome": outcome, "longrepr": None, **changed}
    return pytest.TestReport(**given)


def test_a_passed_test_arrives_without_its_keywords() -> None:
    sent = short_reports.pytest_report_to_serializable(report())
    assert sent is not None
    arrived = short_reports.pytest_report_from_serializable(sent)
    assert arrived is not None
    assert arrived.passed
    assert not arrived.keywords
    assert {name: getattr(arrived, name) for name in PASSED} == PASSED


@pytest.mark.parametrize(
    "full",
    [
        report("failed", longrepr="an error"),
        report("skipped", longrepr=("test_a.py", 3, "no torch")),
        report(sections=[("Captured stdout call", "text")]),
        report(user_properties=[("name", 1)]),
        report(wasxfail="reason"),
    ],
)
def test_all_that_has_more_to_tell_is_sent_by_pytest(full: pytest.TestReport) -> None:
    assert short_reports.pytest_report_to_serializable(full) is None


def test_what_pytest_has_sent_it_reads_itself() -> None:
    assert short_reports.pytest_report_from_serializable({"$report_type": "TestReport"}) is None
