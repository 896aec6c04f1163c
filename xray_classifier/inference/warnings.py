"""What a reader of a verdict should know: the code words of `warnings`, and each in a sentence."""

from __future__ import annotations

from collections.abc import Iterable

WARNINGS = {
    "age_outside_1_to_5": (
        "By its header the patient is not 1 to 5 years old; the model knows children of 1 to 5 "
        "years only."
    ),
    "view_not_frontal": (
        "By its header this is no frontal view (AP or PA); the model knows frontal views only."
    ),
    "modality_unusual": (
        "The header does not call this a plain radiograph (modality CR, DX or RG). If it is a "
        "copy of one, its grey values may differ from those that the model knows."
    ),
    "body_part_unclear": "The header does not make clear that this shows a chest.",
    "not_for_presentation": (
        "By its header this is raw detector data, not meant to be looked at; use the processed "
        "image if there is one."
    ),
    "burned_in_text": (
        "By its header the picture itself holds text. It may name the patient, and it may "
        "mislead the model."
    ),
    "pixels_guessed": (
        "The DICOM header contradicts itself about how the pixels are stored, and they do not "
        "settle it: they are shown in the likeliest way. Compare the picture with a viewer's."
    ),
    "greys_guessed": (
        "The DICOM header speaks of a lookup table or rescaling for the greys, but that is lost. "
        "Brightness and contrast may be others than were meant; export the radiograph again."
    ),
    "grey_range_stretched": (
        "The picture used a small part of the grey range, and was stretched to the whole of it. "
        "Shades that were lost before may mislead the model; better export it with its full range."
    ),
    "few_grey_levels": (
        "The picture has few grey levels. Shades that were lost before may mislead the model; "
        "better export it with its full range."
    ),
    "outside_population": (
        "This chest looks unlike those of the children of 1 to 5 years that the model learned "
        "from: an adult's, for example. Of such chests the model knows nothing."
    ),
    "not_valid": (
        "The number is not valid: the gate rejects this image, and the model was never meant for "
        "such a one."
    ),
}
"""Sentences by code word. Who reads the rows of `predict` relies on the words: rename none."""

NO_DIAGNOSIS = (
    "The number is what a network learned from one hospital's images makes of this one. It is no "
    "diagnosis; a radiologist's reading decides."
)
"""Stands under every number."""


def sentences(codes: Iterable[str]) -> list[str]:
    """Write code words as sentences for people, in their order."""
    return [WARNINGS[code] for code in codes]
