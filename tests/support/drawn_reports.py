"""Reports on drawn images, for the tests of the formats."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tests.support.pictures import gradient
from xray_classifier.inference.heatmap import CAVEAT
from xray_classifier.inference.pipeline import NOT_VALID, REJECTED, Result
from xray_classifier.models.spec import ModelSpec
from xray_classifier.reports.content import CaseReport

SHA256 = "0123456789abcdef" * 4
SPEC = ModelSpec("net", "A net", "net.keras", sha256=SHA256, bytes=1)
FILE_NAME = "Zoe-Fakename.dcm"

RESULT = Result(
    gradient(),
    0.5,
    probability=0.973,
    verdict="pneumonia",
    warnings=("view_not_frontal",),
    runtime="NumPy 2",
)
REJECTION = Result(gradient(), 0.5, REJECTED, message="It is white.")
INVALID = replace(RESULT, warnings=(NOT_VALID,))


def a_report(result: Result = RESULT, **changes: Any) -> CaseReport:
    """A report of the 24 November 2026, without a heatmap."""
    return CaseReport(result, SPEC, datetime(2026, 11, 24, 12, 5, 30, tzinfo=UTC), **changes)


def with_heatmap(report: CaseReport) -> CaseReport:
    """Add a drawn heatmap: red all over."""
    heated = gradient()[..., None].repeat(3, axis=2)
    heated[..., 0] = 255
    return replace(report, heated=heated, heatmap_note=CAVEAT)
