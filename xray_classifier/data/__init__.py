"""Labelled radiographs on disk: reading, splitting by patient, auditing, fetching."""
