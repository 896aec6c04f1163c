"""A report as DICOM: a picture that every viewer shows, and a document that programs read.

The picture is a Secondary Capture of the PDF's pages. The document is a Comprehensive Structured
Report by the template for measurements, TID 1500 of PS3.16, with comments in words. Whether a
pneumonia looks bacterial or viral is said in words alone: coded, it would be taken for a finding.

Both get new UIDs. Of the source's header nothing is copied unless the user asks for its identity.
Import this module late: highdicom is needed once such a report is asked for, not before.
"""

from __future__ import annotations

import io
import logging
from typing import Any

import highdicom as hd
from highdicom.coding_schemes import CodingSchemeIdentificationItem
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from xray_classifier import __version__
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA
from xray_classifier.inference.warnings import sentences
from xray_classifier.reports.content import DISCLAIMER, PROGRAM, CaseReport
from xray_classifier.reports.identity import IMAGE, PATIENT, STUDY, can_be_referenced, read_identity
from xray_classifier.reports.pdf import to_picture

logging.getLogger("highdicom").setLevel(logging.CRITICAL + 1)  # its notes quote UIDs

PNEUMONIA_CODE = Code("233604007", "SCT", "Pneumonia")
PRESENCE = {PNEUMONIA: codes.SCT.Present, NORMAL: codes.SCT.Absent}
UNDETERMINED = codes.SCT.Undetermined
# The standard's "Probability" does not say of what, and a low one must not be taken for a finding.
SCHEME = "99XRAYCLASSIFIER"
PROBABILITY_CODE = Code("PROB_PNEUMONIA", SCHEME, "Probability of pneumonia")
_HEADER_NOTE, _PIXEL_NOTE = (
    "No header element of the source is copied",
    "Pixels not searched for text",
)


def to_secondary_capture(report: CaseReport, source: bytes | None = None) -> bytes:
    """Write the picture.

    Args:
        report: what to write.
        source: the DICOM file that was judged, if its identity is to be kept.

    Raises:
        UnreadableImageError: the identity cannot be read.
    """
    identity = Dataset() if source is None else read_identity(source)
    image: Dataset = hd.sc.SCImage(
        pixel_array=to_picture(report),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        patient_orientation=("L", "F"),
        study_instance_uid=_study_uid(identity),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        **_common(report),
    )
    image.PatientOrientation = image.Laterality = None  # it is of a page, not of a patient
    image.DerivationDescription = DISCLAIMER
    if can_be_referenced(identity):
        reference = Dataset()
        reference.ReferencedSOPClassUID = identity.SOPClassUID
        reference.ReferencedSOPInstanceUID = identity.SOPInstanceUID
        image.SourceImageSequence = [reference]
    image.DateOfSecondaryCapture = image.ContentDate
    image.TimeOfSecondaryCapture = image.ContentTime
    if "burned_in_text" in report.result.warnings:  # may name the patient
        image.BurnedInAnnotation = "YES"
    return _finish(image, identity, [_HEADER_NOTE, _PIXEL_NOTE])


def to_structured_report(report: CaseReport, source: bytes | None = None) -> bytes:
    """Write the document; arguments and errors as of `to_secondary_capture`."""
    identity = Dataset() if source is None else read_identity(source)
    evidence = _evidence(identity)
    known = can_be_referenced(identity)
    content = hd.sr.MeasurementReport(
        observation_context=hd.sr.ObservationContext(_observer()),
        procedure_reported=Code("399208008", "SCT", "Plain chest X-ray"),
        imaging_measurements=[_measurements(report, evidence if known else None)],
    )
    for sentence in _comments(report):
        comment = hd.sr.TextContentItem(
            codes.DCM.Comment, sentence, relationship_type=hd.sr.RelationshipTypeValues.CONTAINS
        )
        content[0].ContentSequence.append(comment)
    document = hd.sr.ComprehensiveSR(
        evidence=[evidence],
        content=content[0],
        is_complete=True,
        coding_schemes=[CodingSchemeIdentificationItem(SCHEME, name=PROGRAM, version=__version__)],
        **_common(report),
    )
    if not known:
        del document.CurrentRequestedProcedureEvidenceSequence  # it lists the stand-in
    return _finish(document, identity, [_HEADER_NOTE])


def _common(report: CaseReport) -> dict[str, Any]:
    """What both objects are told alike."""
    return {
        "series_instance_uid": generate_uid(),
        "series_number": report.number,
        "sop_instance_uid": generate_uid(),
        "instance_number": 1,
        "manufacturer": PROGRAM,
        "manufacturer_model_name": report.spec.name[:64],  # as much as DICOM has room for
        "device_serial_number": report.spec.short_hash,
        "software_versions": __version__,
        "content_date": report.created.date(),
        "content_time": report.created.time().replace(microsecond=0),
    }


def _study_uid(identity: Dataset) -> str:
    return str(identity.get("StudyInstanceUID") or generate_uid())


def _evidence(identity: Dataset) -> Dataset:
    """Name the image judged, and no more: a stand-in with new UIDs where it is not to be named."""
    evidence = Dataset()
    evidence.SOPClassUID = ComputedRadiographyImageStorage
    evidence.SOPInstanceUID, evidence.SeriesInstanceUID = generate_uid(), generate_uid()
    if can_be_referenced(identity):
        for keyword in IMAGE:
            setattr(evidence, keyword, identity[keyword].value)
    evidence.StudyInstanceUID = _study_uid(identity)
    for keyword in (*PATIENT, *STUDY):
        if keyword not in evidence:
            setattr(evidence, keyword, None)
    return evidence


def _observer() -> hd.sr.ObserverContext:
    device = hd.sr.DeviceObserverIdentifyingAttributes(
        uid=generate_uid(entropy_srcs=[PROGRAM, __version__]), name=PROGRAM
    )
    return hd.sr.ObserverContext(codes.DCM.Device, device)


def _measurements(
    report: CaseReport, image: Dataset | None
) -> hd.sr.MeasurementsAndQualitativeEvaluations:
    """Code the verdict and the probability; of what is not valid only that it is undetermined."""
    result, spec = report.result, report.spec
    presence = PRESENCE.get(str(result.verdict), UNDETERMINED) if report.judged else UNDETERMINED
    measured = []
    if report.judged and result.probability is not None:
        percent = round(100 * result.probability, 4)
        measured = [hd.sr.Measurement(PROBABILITY_CODE, percent, codes.UCUM.Percent)]
    images = []
    if image is not None:
        reference = (image.SOPClassUID, image.SOPInstanceUID)
        images = [hd.sr.SourceImageForMeasurementGroup(*reference)]
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.sr.TrackingIdentifier(generate_uid(), f"study {report.number}"),
        algorithm_id=hd.sr.AlgorithmIdentification(
            name=f"{PROGRAM}: {spec.name}",
            version=spec.sha256 or "unverified",
            parameters=[f"threshold {result.threshold}"],
        ),
        measurements=measured,
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(PNEUMONIA_CODE, presence)],
        source_images=images,
    )


def _comments(report: CaseReport) -> list[str]:
    warned = [f"Warning: {sentence}" for sentence in sentences(report.result.warnings)]
    facts = [f"{label}: {value}" for label, value in report.facts.items()]
    second = [report.etiology] if report.etiology else []
    return [f"{report.headline}. {report.statement}", *second, *warned, DISCLAIMER, *facts]


def _finish(made: Dataset, identity: Dataset, removal: list[str]) -> bytes:
    """Set the identity, or say how it was removed; write the file."""
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SeriesDescription = "Pneumonia: report of a research program"
    made.TimezoneOffsetFromUTC = "+0000"
    made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
    if identity:
        for keyword in (*PATIENT, *STUDY):
            if keyword in identity:
                setattr(made, keyword, identity[keyword].value)
    elif made.get("BurnedInAnnotation") == "YES":
        made.PatientIdentityRemoved = "NO"
    else:
        made.PatientIdentityRemoved, made.DeidentificationMethod = "YES", removal
    stream = io.BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()
