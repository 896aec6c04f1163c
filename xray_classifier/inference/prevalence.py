"""What a calibrated probability means where pneumonia is rarer or more frequent.

A probability is calibrated for the prevalence among the patients it was fitted to. Bayes' theorem
takes it to any other: the likelihood ratio of the picture stays, the odds before it change.
"""

from __future__ import annotations

import math

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.models.spec import ModelSpec


def likelihood_ratio(probability: float, prevalence: float) -> float:
    """Give how much likelier the picture is with pneumonia than without.

    Args:
        probability: calibrated, in [0, 1].
        prevalence: that the calibration assumes, in (0, 1).

    Returns:
        odds(probability) / odds(prevalence), infinite for a probability of 1.

    >>> round(likelihood_ratio(0.9, 0.74), 2)
    3.16
    """
    return _odds(probability) / _odds(prevalence)


def post_test(probability: float, spec: ModelSpec, pretest: float) -> float:
    """Give the probability of pneumonia for a patient who had `pretest` before the radiograph.

    Args:
        probability: of the model, in [0, 1].
        spec: of the model; says which prevalence its probabilities assume.
        pretest: probability of pneumonia without the radiograph, in (0, 1).

    Returns:
        In [0, 1].

    Raises:
        ModelUnavailableError: the model is not calibrated.
        ValueError: the pre-test probability is not between 0 and 1.
    """
    if not 0 < pretest < 1:
        raise ValueError(
            f"A pre-test probability between 0 and 1 is wanted; received {pretest}. Give .1 for a "
            "tenth of such patients."
        )
    if spec.calibration_prevalence is None:
        raise ModelUnavailableError(
            f"Model {spec.name} is not calibrated, so no post-test probability follows from its "
            "number. Leave the pre-test probability out, or take another model."
        )
    odds = _odds(pretest) * likelihood_ratio(probability, spec.calibration_prevalence)
    return odds / (1 + odds) if math.isfinite(odds) else 1.0


def _odds(probability: float) -> float:
    return probability / (1 - probability) if probability < 1 else math.inf
