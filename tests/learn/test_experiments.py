from __future__ import annotations

import numpy as np
import pytest

from tests.support.pictures import gradient, squares
from xray_classifier.imaging.preprocessing import preprocess
from xray_classifier.learn.experiments import (
    EXPERIMENTS,
    FULL_RESOLUTION,
    Experiment,
    keep_border,
    mirror,
    render_otherwise,
    resize_to_nearest,
)
from xray_classifier.models.loading import model_names, read_facts
from xray_classifier.models.spec import read_report
from xray_classifier.records.checks import StressReport


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda one: one.title)
def test_experiment_gives_a_tensor_that_differs(experiment: Experiment) -> None:
    tensor = experiment.change(gradient(700, 900))
    assert tensor.shape == (500, 500, 1)
    assert tensor.dtype == np.float32
    assert 0 <= tensor.min() <= tensor.max() <= 1
    assert not np.array_equal(tensor, preprocess(gradient(700, 900)))


@pytest.mark.parametrize("name", model_names())
def test_figures_that_are_named_were_measured(name: str) -> None:
    report = read_report(StressReport, read_facts(name))
    assert report is not None
    known = {*report.perturbations, *report.border_alone}
    wanted = {figure for experiment in EXPERIMENTS for figure in experiment.measured}
    assert wanted - known == {FULL_RESOLUTION}
    assert report.full_resolution is not None


def test_nearest_loses_thin_lines_that_antialiasing_keeps() -> None:
    lines = np.zeros((2000, 2000), np.uint8)
    lines[:, ::4] = 255
    assert np.ptp(resize_to_nearest(lines)) == 0
    assert preprocess(lines).mean() == pytest.approx(0.25, abs=0.01)


def test_mirror_exchanges_left_and_right() -> None:
    np.testing.assert_array_equal(mirror(squares()), preprocess(squares()[:, ::-1].copy()))


def test_border_alone_holds_no_lung() -> None:
    tensor = keep_border(gradient(500, 500))
    assert np.ptp(tensor[70:430, 70:430]) == 0
    np.testing.assert_array_equal(tensor[:70], preprocess(gradient(500, 500))[:70])


def test_other_rendering_is_softer() -> None:
    before, after = preprocess(squares()), render_otherwise(squares())
    assert np.ptp(after) == pytest.approx(0.75 * np.ptp(before), abs=0.02)
    assert np.abs(np.diff(after, axis=0)).max() < np.abs(np.diff(before, axis=0)).max() / 2
