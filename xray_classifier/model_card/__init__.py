"""What was measured to the tables of the model card, the README and the docs."""
