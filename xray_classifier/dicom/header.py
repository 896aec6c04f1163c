"""The elements of a DICOM file to the facts that are used, each read once.

Is it a chest radiograph, how is it stored, how is it shown, and what is to be warned of? Values
are compared with the terms of the standard and only those terms are ever quoted, since careless
writers put a patient's name anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from xray_classifier.dicom.display_settings import (
    DisplaySettings,
    Grey,
    read_display_settings,
)
from xray_classifier.dicom.elements import Elements
from xray_classifier.dicom.layout import Layout
from xray_classifier.dicom.reader import DicomFile
from xray_classifier.dicom.reconcile import read_layout
from xray_classifier.errors import RejectedImageError, UnreadableImageError

DAMAGED = "The DICOM file is damaged or incomplete. Export it again."

AGES = range(1, 6)
"""Ages in completed years of the children that the models were trained on."""

# Modality, PS3.3 C.7.3.1.1.1. RG is film that was digitised, DR no term but found for DX. Copies
# come as OT, HC or SC, and units for fluoroscopy, RF, take plain chest images as well: these and
# terms that nobody knows are let through with a warning.
_RADIOGRAPHS = {"CR", "DX", "RG", "DR"}
_OTHER_MODALITIES = (
    "AR AS ASMT AU BDUS BI BMD CD CF CP CS CT CTPROTOCOL DD DF DG DM DMS DOC DS EC ECG EEG EMG "
    "EOG EPS ES FA FID FS GM HD IO IOL IVOCT IVUS KER KO LEN LP LS M3D MA MG MR MS NM OAM OCT OP "
    "OPM OPR OPT OPTBSV OPTENF OPV OSS PA PLAN POS PR PT PX REG RESP RTDOSE RTIMAGE RTINTENT "
    "RTPLAN RTRAD RTRECORD RTSEGANN RTSTRUCT RX SEG SM SMR SR SRF ST STAIN TEXTUREMAP TG US VA "
    "VF XA XAPROTOCOL XC"
)
_RADIOGRAPH_CLASSES = re.compile(
    r"(Computed Radiography|Digital X-Ray|Secondary Capture|X-Ray Radiofluoroscopic) Image"
)

# Body Part Examined, PS3.16 annex L: what a radiograph may show beside the chest.
_CHEST = ("CHEST", "THORAX", "LUNG", "TORAX", "PULMO", "POUMON", "CXR")
_OTHER_PARTS = (
    "ABDOMEN ANKLE ARM BRAIN BREAST CALCANEUS CALF CLAVICLE COCCYX COLON CSPINE ELBOW EXTREMITY "
    "FACE FACIALBONES FEMUR FINGER FOOT FOREARM HAND HEAD HEADNECK HEEL HIP HIPS HUMERUS JAW KNEE "
    "KUB LEG LIVER LSPINE LSSPINE MANDIBLE MAXILLA NASALBONES NECK NOSE ORBIT PATELLA PELVIS "
    "RADIUS SACRUM SCAPULA SHOULDER SINUSES SKULL SPINE SSPINE STERNUM STOMACH TEETH THIGH THUMB "
    "TIBIA TLSPINE TOE TSPINE ULNA WRIST ZYGOMA"
)

# View Position, PS3.3 C.8.1.1 and C.8.7.1, and what is found in its place.
_NOT_FRONTAL = {"LL", "RL", "LLD", "RLD", "LLO", "RLO", "LAO", "RAO", "LPO", "RPO", "CC", "MLO"}
_NOT_FRONTAL_PARTS = ("LATERAL", "OBLIQUE", "DECUBITUS", "AXIAL", "LORDOTIC")


@dataclass(frozen=True)
class Header:
    """What a DICOM file says of its only picture, which is a chest radiograph.

    Attributes:
        raw: the value of its Pixel Data, never empty.
        layout: how the pixels are stored there.
        display: how they are shown; if that is not known, since a lookup table or another sequence
            is damaged, what to raise.
        warnings: code words of `inference.warnings`.
    """

    raw: bytes
    layout: Layout
    display: DisplaySettings | UnreadableImageError
    warnings: tuple[str, ...]

    @property
    def greys_guessed(self) -> bool:
        """Whether the file should say more of how the pixels are shown, but it is lost."""
        return isinstance(self.display, Grey) and self.display.guessed


def read_header(file: DicomFile) -> Header:
    """Read all facts, and refuse what is no single picture of a chest by X-rays.

    Raises:
        RejectedImageError: no pixels, another modality, another kind of object or another part
            of the body; the message names the tag that says so.
        UnreadableImageError: the layout is missing or impossible.
    """
    elements = file.elements
    raw = elements.raw("PixelData") or b""
    modality, part = elements.text("Modality"), elements.text("BodyPartExamined")
    reason = (
        ("" if raw else _lacks_pixels(modality, file.sop_class))
        or _is_other_modality(modality, file.sop_class)
        or _shows_other_part(part)
    )
    if reason:
        raise RejectedImageError(f"{reason} Choose the frontal chest radiograph of the study.")
    layout = read_layout(file)
    try:
        display = read_display_settings(elements, layout)
        return Header(raw, layout, display, tuple(_find_warnings(elements, modality, part)))
    # No refusal yet: what is wrong with the pixels says more.
    except UnreadableImageError as error:
        return Header(raw, layout, error, ())
    except Exception:  # pydicom has many  # noqa: BLE001
        return Header(raw, layout, UnreadableImageError(DAMAGED), ())


def _lacks_pixels(modality: str, sop_class: str) -> str:
    if modality in _RADIOGRAPHS:
        return "The DICOM file breaks off before its Pixel Data (7FE0,0010), or never had any."
    kind = f" but is of the class {sop_class}" if sop_class else ""
    if modality in _OTHER_MODALITIES.split():
        kind += f", with {modality} as Modality (0008,0060)"
    return f"The DICOM file holds no picture: it has no Pixel Data (7FE0,0010){kind}."


def _is_other_modality(modality: str, sop_class: str) -> str:
    if modality in _OTHER_MODALITIES.split():
        return (
            f"The DICOM file is no chest radiograph: its Modality (0008,0060) is {modality}, but "
            "CR, DX or RG is wanted."
        )
    if modality or not sop_class or _RADIOGRAPH_CLASSES.search(sop_class):
        return ""
    return f"The DICOM file is no chest radiograph: its SOP Class UID (0008,0016) says {sop_class}."


def _shows_other_part(text: str) -> str:
    part = _other_part(text)
    return (
        f"The DICOM file shows no chest: its Body Part Examined (0018,0015) is {part}."
        if part
        else ""
    )


def _other_part(text: str) -> str:
    if _names_chest(text):
        return ""
    words = re.findall("[A-Z]+", text)
    return next((word for word in ("".join(words), *words) if word in _OTHER_PARTS.split()), "")


def _names_chest(text: str) -> bool:
    return any(word in text for word in _CHEST)


def _find_warnings(elements: Elements, modality: str, part: str) -> Iterator[str]:
    years = _full_years(elements)
    if years is not None and years not in AGES:
        yield "age_outside_1_to_5"
    if not _is_frontal(elements):
        yield "view_not_frontal"
    if modality not in _RADIOGRAPHS:
        yield "modality_unusual"
    if part and not _names_chest(part):
        yield "body_part_unclear"
    if elements.text("PresentationIntentType") == "FOR PROCESSING":
        yield "not_for_presentation"
    if elements.text("BurnedInAnnotation") == "YES":
        yield "burned_in_text"


def _is_frontal(elements: Elements) -> bool:
    """Whether nothing speaks against a frontal view; many files do not tell."""
    views = elements.texts("ViewPosition")
    coded = next(elements.items("ViewCodeSequence"), None)
    if coded is not None:
        views += coded.texts("CodeMeaning")
    # Rows of a lateral view run from the front of the patient to the back, or the other way.
    sideways = elements.text("PatientOrientation").startswith(("A", "P"))
    return not sideways and not any(
        view in _NOT_FRONTAL or view == "LAT" or any(part in view for part in _NOT_FRONTAL_PARTS)
        for view in views
    )


def _full_years(elements: Elements) -> int | None:
    """Tell the age of the patient in completed years, None if the file does not.

    Patient Age (0010,1010) is "004Y", "018M", "060W" or "300D" (PS3.5 6.2). Without it the age
    follows from the dates of birth and study.
    """
    match = re.fullmatch(r"(\d{1,3})([DWMY])", elements.text("PatientAge"))
    if match:
        in_a_year = {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}
        return int(int(match[1]) / in_a_year[match[2]])
    birth, study = (_day(elements.text(name)) for name in ("PatientBirthDate", "StudyDate"))
    if birth is None or study is None or study < birth:
        return None
    return study.year - birth.year - ((study.month, study.day) < (birth.month, birth.day))


def _day(text: str) -> date | None:
    """Read a date, "20260131" or as before the standard of 1993 "2026.01.31"."""
    try:
        return date.fromisoformat(text.replace(".", ""))
    except ValueError:
        return None
