"""A result to a report: PDF, JSON or DICOM."""
