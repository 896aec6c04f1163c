"""How each model is built, trained, cross-validated and calibrated."""
