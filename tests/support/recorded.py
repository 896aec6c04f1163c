"""Records with figures that are made up, for the tests of what reads them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from xray_classifier.records.checks import (
    CascadeStep,
    Change,
    DeletionTest,
    Drops,
    ExplanationReport,
    Likeness,
    RandomisationTest,
    ResolutionChange,
    StressReport,
)
from xray_classifier.records.evaluation import (
    Confusion,
    Estimate,
    EvaluationReport,
    Figures,
    HardFigures,
    PointFigures,
    RenderingFigures,
)
from xray_classifier.records.training import (
    CalibrationFacts,
    ImageSize,
    PlainCalibration,
    PlainPoint,
    TrainingFacts,
)

SHA256 = "ab" * 32

FIGURES = Figures(
    loss=Estimate(0.51234, 0.4, 0.6),
    accuracy=Estimate(0.7, 0.55, 0.85),
    sensitivity=Estimate(0.66667, 0.5, 0.8),
    specificity=Estimate(0.75, 0.6, 0.9),
    auc=Estimate(0.81239, 0.7, 0.9),
)
"""Without Brier score and calibration error, as the first models were measured."""

ALL_FIGURES = replace(FIGURES, brier=Estimate(0.05, 0.04, 0.06), ece=Estimate(0.02, 0.01, 0.03))

POINT_FIGURES = PointFigures(
    accuracy=Estimate(0.9, 0.8, 0.95),
    sensitivity=Estimate(0.95, 0.9, 0.98),
    specificity=Estimate(0.8, 0.7, 0.9),
    undecided=Estimate(0.05, 0.01, 0.09),
    decided_right=Estimate(0.99, 0.98, 1.0),
)

SUMMARY = EvaluationReport(
    images=10,
    patients=7,
    data_sha256="cd" * 32,
    threshold=0.5,
    confusion=Confusion(true_normal=3, false_pneumonia=1, false_normal=2, true_pneumonia=4),
    figures=FIGURES,
)

RENDERING = RenderingFigures(
    rendering_auc=Estimate(0.95, 0.94, 0.96),
    balanced_rendering_auc=Estimate(0.54, 0.51, 0.57),
    hard=HardFigures(
        normals=76,
        pneumonias=218,
        specificity=Estimate(0.75, 0.6, 0.85),
        sensitivity=Estimate(0.8, 0.7, 0.9),
        accuracy=Estimate(0.79, 0.7, 0.85),
        auc=Estimate(0.88, 0.8, 0.95),
        operating_points={"balanced": POINT_FIGURES},
    ),
    effective_images=289.4,
    balanced=replace(ALL_FIGURES, auc=Estimate(0.97, 0.95, 0.99)),
    operating_points={"balanced": POINT_FIGURES},
)

PLAIN = PlainCalibration(
    slope=1.4,
    intercept=1.6,
    out_of_fold=ALL_FIGURES,
    rendering_balanced=replace(ALL_FIGURES, loss=Estimate(0.25, 0.2, 0.3)),
    balanced=PlainPoint(0.85694, 0.33, 0.9, POINT_FIGURES, POINT_FIGURES),
)

CALIBRATION = CalibrationFacts(
    method="by hand",
    slope=1.5,
    intercept=-0.5,
    images=100,
    patients=70,
    folds=4,
    answers_sha256="01" * 32,
    out_of_fold=ALL_FIGURES,
)

CHANGE = Change(
    mean_change=Estimate(0.0123, 0.01, 0.02),
    verdicts_changed=Estimate(0.025, 0.01, 0.05),
    auc=Estimate(0.9, 0.8, 0.95),
)
STRESS = StressReport(
    model="tiny",
    sha256=SHA256,
    threshold=0.5,
    data="chest_xray/holdout",
    data_sha256="cd" * 32,
    images=1040,
    auc=Estimate(0.95, 0.9, 0.99),
    perturbations={"blur": CHANGE},
    border_alone={"outer 10 % alone": Estimate(0.6606, 0.6, 0.7)},
    full_resolution=ResolutionChange(3, CHANGE),
)

_DROPS = Drops(
    hottest=2.204,
    random=0.679,
    other_image=1.5,
    p=6.2e-15,
    p_other_image=0.25,
    images_hottest_above_random=0.94,
)
_LIKENESS = Likeness(rank_correlation=0.1, ssim=0.2, blank=0)
EXPLANATION = ExplanationReport(
    model="tiny",
    sha256=SHA256,
    method="CAM",
    images=50,
    deletion_test=DeletionTest(
        fraction=0.1, patches=5, logit=_DROPS, probability=_DROPS, passed=True
    ),
    parameter_randomisation_test=RandomisationTest(
        other_image=_LIKENESS,
        all_layers=(_LIKENESS,),
        cascade=(CascadeStep("dense", _LIKENESS),),
        passed=True,
    ),
    passed=True,
)


def trained(**changes: Any) -> TrainingFacts:
    """Facts of a training on a few images."""
    facts = TrainingFacts(
        date="2026-11-24",
        data="chest_xray",
        median_source_size=ImageSize(224, 200),
        seed=1,
        split_seed=2026,
        training_images={"normal": 1081, "pneumonia": 3111},
        validation_images={"normal": 268, "pneumonia": 772},
        training_sha256="23" * 32,
        validation_sha256="45" * 32,
        recipe={"optimizer": "Adam", "augmentation": {"zoom_per_axis": [0.8, 1.2]}},
        epochs=7,
        shipped_epoch=4,
        figures_of_that_epoch={"val_loss": 0.13},
        versions={"python": "3.11.7"},
    )
    return replace(facts, **changes)
