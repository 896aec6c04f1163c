"""Out-of-fold answers to calibrated probabilities, operating points and uncertain bands."""
