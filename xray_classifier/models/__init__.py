"""Trained networks with their facts: load, verify and run the classifier and the gate."""
