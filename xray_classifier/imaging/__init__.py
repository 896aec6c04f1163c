"""A decoded radiograph: its pixels, its limits, its way to a tensor, and changes made to it."""
