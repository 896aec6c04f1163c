"""The bytes of a DICOM file to the picture that a viewer would show."""
