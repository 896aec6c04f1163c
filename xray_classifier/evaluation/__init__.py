"""How good a model is, measured and written down."""
