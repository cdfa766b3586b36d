"""A run as JUnit XML: a failed case is an error, a criterion that does not hold a failure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ctxeng_evals.log import ResultLog
from ctxeng_evals.plan import Plan
from ctxeng_evals.report.figures import Judged

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(plan: Plan, log: ResultLog, criteria: Sequence[Judged] = ()) -> str:
    """The document: a testsuite a column, a testcase a case with its time, and a testsuite of criteria.

    A wrong answer is no failure: whether there are too many of them is what criteria say.
    """
    root = ET.Element("testsuites", name=_clean(plan.suite.suite))
    suites = [ET.SubElement(root, "testsuite", name=_clean(column.name)) for column in plan.columns]
    times, seconds = [0.0] * len(suites), log.seconds()
    for record in log.records():
        suite, took = suites[record["column"]], seconds.get(record["slot"]) or 0.0
        times[record["column"]] += took
        repeat = record.get("repeat", 0)
        name = f"{record['case']} (repeat {repeat + 1})" if repeat else record["case"]
        case = _case(suite, plan.columns[record["column"]].name, name, took)
        if record.get("error"):
            kind, _, said = record["error"].partition(": ")
            error = ET.SubElement(case, "error", type=_clean(kind), message=_clean(said or kind))
            error.text = _clean(record["error"])
    for suite, took in zip(suites, times, strict=True):
        suite.set("time", f"{took:.6f}")
    if criteria:
        _criteria(ET.SubElement(root, "testsuite", name="criteria", time="0"), criteria)
    _count(root)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _criteria(suite: ET.Element, criteria: Sequence[Judged]) -> None:
    for each in criteria:
        case = _case(suite, "criteria", each.text, 0.0)
        if not each.ok:
            ET.SubElement(case, "failure", type="criterion", message=_clean(f"not fulfilled: {each.text}"))


def _case(suite: ET.Element, column: str, name: str, took: float) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=_clean(column), name=_clean(name), time=f"{took:.6f}")


def _count(root: ET.Element) -> None:
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for suite in root:
        counts = {
            "tests": len(suite),
            "failures": len(suite.findall("testcase/failure")),
            "errors": len(suite.findall("testcase/error")),
        }
        for key, count in counts.items():
            suite.set(key, str(count))
            totals[key] += count
    for key, count in totals.items():
        root.set(key, str(count))


def _clean(text: str) -> str:
    """The text with what XML cannot hold replaced."""
    return _NO_XML.sub("\N{REPLACEMENT CHARACTER}", text)
