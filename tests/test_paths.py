"""Of a checkout; tests/project/test_package.py looks at an installed package."""

from __future__ import annotations

from tests.support.places import ROOT
from xray_classifier.paths import MODEL_FOLDER, REPOSITORY


def test_models_of_a_checkout_lie_beside_the_package() -> None:
    assert (REPOSITORY, MODEL_FOLDER) == (ROOT, ROOT / "model")
