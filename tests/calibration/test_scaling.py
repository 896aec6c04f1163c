from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.support.stand_ins import tiny_model
from xray_classifier.calibration.scaling import Scale, fit_scale, fold_into_last_layer
from xray_classifier.errors import ModelUnavailableError


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def test_scale_finds_the_logits_that_made_the_labels() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 200_000)
    labels = (rng.random(logits.size) < logistic(2 * logits + 0.5)).astype(np.intp)
    scale = fit_scale(labels, logistic(logits))
    assert (scale.slope, scale.intercept) == pytest.approx((2, 0.5), abs=0.03)


def test_weights_count_like_copies_of_an_image() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, 300)
    labels = (rng.random(300) < logistic(logits)).astype(np.intp)
    times = rng.integers(1, 4, 300)
    weighted = fit_scale(labels, logistic(logits), times)
    copied = fit_scale(labels.repeat(times), logistic(logits.repeat(times)))
    assert (weighted.slope, weighted.intercept) == pytest.approx(
        (copied.slope, copied.intercept), abs=1e-4
    )


def test_scale_is_undone() -> None:
    scale = Scale(1.7, -0.4)
    assert scale.apply(np.array([scale.undo(0.3)])) == pytest.approx([0.3])


def test_scale_by_hand() -> None:
    # odds 1 and 4: 2 * 0 + 1 and 2 * log 4 + 1
    scaled = Scale(2, 1).apply(np.array([0.5, 0.8]))
    assert scaled == pytest.approx([np.e / (1 + np.e), 16 * np.e / (1 + 16 * np.e)])


def test_baked_model_gives_the_scaled_probabilities() -> None:
    model, batch = tiny_model(), np.full((1, 500, 500, 1), 0.6, np.float32)
    before = model(batch).numpy().reshape(-1)
    fold_into_last_layer(model, Scale(1.7, -0.4))
    assert model(batch).numpy().reshape(-1) == pytest.approx(Scale(1.7, -0.4).apply(before))


def test_model_without_a_sigmoid_is_refused() -> None:
    import keras

    layers = [keras.Input((500, 500, 1)), keras.layers.GlobalAveragePooling2D()]
    with pytest.raises(ModelUnavailableError, match="last layer is no sigmoid"):
        fold_into_last_layer(keras.Sequential(layers), Scale(1, 0))


def test_each_answer_has_a_scale_of_its_own() -> None:
    import keras

    layers = [
        keras.Input((500, 500, 1)),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(2, activation="sigmoid"),
    ]
    model, batch = keras.Sequential(layers), np.full((1, 500, 500, 1), 0.6, np.float32)
    first, second = model(batch).numpy()[0]
    scales = Scale(1.7, -0.4), Scale(0.5, 0.2)
    fold_into_last_layer(model, *scales)
    expected = [scales[0].apply(np.array([first]))[0], scales[1].apply(np.array([second]))[0]]
    assert model(batch).numpy()[0] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ModelUnavailableError, match="no sigmoid of 1 units"):
        fold_into_last_layer(model, Scale(1, 0))
