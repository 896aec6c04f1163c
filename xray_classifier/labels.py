"""What the models tell apart."""

LABELS = ("normal", "pneumonia")
"""Class names; the position is the label: 0 = normal, 1 = pneumonia."""
