"""Platt scaling: fitted to answers, and put into a network's last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.evaluation.curves import clipped_logit
from xray_classifier.evaluation.metrics import Labels, Probabilities, Weights


@dataclass(frozen=True)
class Scale:
    """Platt scaling: calibrated logit = slope * logit + intercept (Platt 1999)."""

    slope: float
    intercept: float

    def apply(self, probabilities: Probabilities) -> Probabilities:
        """Calibrate probabilities, shape (n,)."""
        return expit(self.slope * clipped_logit(probabilities) + self.intercept)

    def undo(self, probability: float) -> float:
        """Give what becomes this probability."""
        return float(expit((logit(probability) - self.intercept) / self.slope))


def fit_scale(
    labels: Labels, probabilities: Probabilities, weights: Weights | None = None
) -> Scale:
    """Fit Platt's logistic regression of the labels on the logits, unregularised."""
    fitted = LogisticRegression(C=np.inf, tol=1e-8).fit(
        clipped_logit(probabilities)[:, None], labels, weights
    )
    return Scale(float(fitted.coef_[0, 0]), float(fitted.intercept_[0]))


def fold_into_last_layer(model: Any, *scales: Scale) -> None:
    """Put the scale of each answer into the weights of a model's last layer.

    Raises:
        ModelUnavailableError: the last layer is no sigmoid with as many units.
    """
    last = model.layers[-1]
    name = getattr(getattr(last, "activation", None), "__name__", "")
    if name != "sigmoid" or last.units != len(scales):
        raise ModelUnavailableError(
            f"The model's last layer is no sigmoid of {len(scales)} units: it cannot be scaled."
        )
    kernel, bias = last.get_weights()
    slopes = np.array([scale.slope for scale in scales], np.float32)
    intercepts = np.array([scale.intercept for scale in scales], np.float32)
    last.set_weights([kernel * slopes, bias * slopes + intercepts])
