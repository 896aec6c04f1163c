"""The page about the model: what it learned from, how well it does, where it fails."""

from __future__ import annotations

from xray_classifier.page_shared import show_heading


def show_model_page(name: str) -> None:
    """Draw the page for the model of that name. TensorFlow is not needed for it."""
    show_heading(f"About the model {name}")
