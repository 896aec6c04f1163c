"""DICOM from end to end: recognition, the same answer as a JPEG, privacy, robustness."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from tests.support import hostile_dicom
from tests.support.dicom_files import (
    BIRTH,
    IDENTIFIER,
    NAME,
    bundled,
    compressed,
    dicom,
    image_of,
    shades,
    table_item,
)
from tests.support.pictures import encoded, gradient
from tests.support.places import ROOT
from xray_classifier.dicom.decode import is_dicom
from xray_classifier.errors import UnreadableImageError
from xray_classifier.inference.warnings import WARNINGS
from xray_classifier.inputs.decoding import decode

# Recognition


def without_preamble(syntax: UID, *, meta: bool) -> bytes:
    body = dicom(gradient(), syntax).split(b"DICM", 1)[1]
    return body if meta else body[12 + int.from_bytes(body[8:12], "little") :]


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(dicom(), id="with preamble"),
        pytest.param(encoded(gradient(), "TIFF")[:128] + dicom()[128:], id="preamble of a TIFF"),
        pytest.param(without_preamble(ExplicitVRLittleEndian, meta=True), id="meta group first"),
        pytest.param(without_preamble(ImplicitVRLittleEndian, meta=True), id="implicit with meta"),
        pytest.param(without_preamble(ExplicitVRLittleEndian, meta=False), id="explicit"),
        pytest.param(without_preamble(ImplicitVRLittleEndian, meta=False), id="implicit"),
        pytest.param(without_preamble(ExplicitVRBigEndian, meta=False), id="big endian"),
    ],
)
def test_dicom_is_told_from_the_content(file: bytes) -> None:
    assert is_dicom(file)
    np.testing.assert_array_equal(image_of(file), gradient())


@pytest.mark.parametrize(
    "name",
    ["ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "rtstruct.dcm", "CT_small.dcm"],
)
def test_files_of_pydicom_are_recognised(name: str) -> None:
    assert is_dicom(bundled(name))


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(b"\x08\0\x05\0" + bytes(5000), id="a first tag alone"),
        pytest.param(b"SOP class 1.2.840.10008.5.1.4.1.1.1 " * 20, id="text about DICOM"),
        pytest.param(bundled("README.txt"), id="README"),
        pytest.param(bundled("test1.json"), id="DICOM as JSON"),
        pytest.param(bundled("rtplan.dump"), id="dump"),
        pytest.param(bundled("zipMR.gz"), id="gzip"),
        *(
            pytest.param(encoded(gradient(), kind), id=kind)
            for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
        ),
    ],
)
def test_nothing_else_is_taken_for_dicom(file: bytes) -> None:
    assert not is_dicom(file)


@pytest.mark.parametrize("name", ["README.txt", "test1.json", "rtplan.dump", "zipMR.gz"])
def test_junk_is_refused_as_ever(name: str) -> None:
    with pytest.raises(UnreadableImageError, match="not an image that can be read"):
        decode(bundled(name))


# The same answer as the JPEG


def originals(data: Path, step: int) -> list[Path]:
    found = sorted((data / "originals").rglob("*.jpeg"))
    assert len(found) == 24
    return found[::step]


def versions(jpeg: bytes) -> Iterator[tuple[str, bytes]]:
    """DICOM files made from one JPEG: as it is, deeper with a window, negative, embedded."""
    image = decode(jpeg).image
    yield "8 bits", dicom(image)
    yield "negative", dicom(255 - image, PhotometricInterpretation="MONOCHROME1")
    for bits in (10, 12, 16):
        deep = np.round(image * ((2**bits - 1) / 255)).astype(np.uint16)
        window = {"WindowCenter": 2 ** (bits - 1), "WindowWidth": 2**bits, "BitsStored": bits}
        yield f"{bits} bits", dicom(deep, **window)
    yield "RGB", dicom(np.repeat(image[..., np.newaxis], 3, axis=2))
    with Image.open(io.BytesIO(jpeg)) as opened:
        if opened.mode == "L":
            yield "embedded", dicom(image, JPEGBaseline8Bit, jpeg)


@pytest.mark.data
def test_dicom_made_from_a_jpeg_has_its_pixels(data: Path) -> None:
    for path in originals(data, 3):
        jpeg = path.read_bytes()
        expected = decode(jpeg).image.astype(int)
        for name, file in versions(jpeg):
            assert np.abs(image_of(file) - expected).max() <= 2, (path.name, name)


@pytest.mark.data
def test_dicom_made_from_a_jpeg_gets_its_probability(data: Path) -> None:
    from xray_classifier.inference.pipeline import classify
    from xray_classifier.models.loading import load_classifier

    classifier = load_classifier()
    for path in originals(data, 8):
        jpeg = path.read_bytes()
        expected = classify(jpeg, classifier).probability
        found = {name: classify(file, classifier).probability for name, file in versions(jpeg)}
        assert found == pytest.approx(dict.fromkeys(found, expected), abs=0.02), path.name


@pytest.mark.data
def test_headers_that_contradict_their_pixels_get_the_answer_of_the_picture(data: Path) -> None:
    from xray_classifier.inference.pipeline import classify
    from xray_classifier.models.gate import load_gate
    from xray_classifier.models.loading import load_classifier

    path = data / "originals" / "NORMAL" / "IM-0453-0001.jpeg"
    with Image.open(path) as opened:
        grey = np.asarray(opened.convert("L").resize((900, 700)))
    deep = (grey.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    ramp = np.arange(4096, dtype="<u2").tobytes()
    windowed: dict[str, Any] = {"WindowCenter": 2048, "WindowWidth": 4096}
    files = {
        "422": dicom(np.dstack([grey] * 3), PhotometricInterpretation="YBR_FULL_422"),
        "no frames": dicom(deep, BitsStored=12, NumberOfFrames=0),
        "few bits": dicom(deep, BitsStored=12, VOILUTSequence=[table_item([4096, 0, 8], ramp)]),
        "no entries": dicom(
            deep, BitsStored=12, VOILUTSequence=[table_item([4096, 0, 12], b"")], **windowed
        ),
        "wrong sign": dicom(deep, BitsStored=12, PixelRepresentation=1),
        "too few bits": dicom(deep, BitsStored=8),
    }
    classifier, gate = load_classifier(), load_gate()
    expected = classify(encoded(grey), classifier, gate)
    assert expected.status == "ok"
    for name, file in files.items():
        found = classify(file, classifier, gate)
        assert found.probability == pytest.approx(expected.probability, abs=0.005), name
        assert found.warnings == expected.warnings, name


# Guesses


def test_guesses_are_warned_of_after_what_the_header_says() -> None:
    tags: dict[str, Any] = {"VOILUTSequence": [table_item([256, 0, 8], b"")], "PatientAge": "045Y"}
    deep = shades(12)
    found = decode(dicom(deep, BitsStored=99, HighBit=11, **tags))
    assert found.warnings == ("age_outside_1_to_5", "pixels_guessed", "greys_guessed")
    np.testing.assert_array_equal(found.image, image_of(dicom(deep, BitsStored=12)))
    assert {"pixels_guessed", "greys_guessed"} <= WARNINGS.keys()


# Privacy

SECRETS = ("fakename", IDENTIFIER.lower(), BIRTH)

TROUBLED: dict[str, bytes] = {
    "sound": dicom(),
    "lateral and adult": dicom(ViewPosition="LL", PatientAge="045Y"),
    "another modality": dicom(Modality="CT"),
    "another part": dicom(BodyPartExamined="KNEE"),
    "names in code strings": dicom(
        Modality=NAME, BodyPartExamined=NAME, ViewPosition=NAME, PatientAge=NAME
    ),
    "a name for the kind of pixels": dicom(PhotometricInterpretation=NAME),
    "a birthday that is none": dicom(PatientBirthDate=f"{BIRTH}4711", StudyDate=NAME),
    "cut off": dicom()[:-2000],
    "cut off in the header": dicom()[:700],
    "a name for the rows": dicom().replace(
        b"\x28\0\x10\0US\x02\0\x3c\0", b"\x28\0\x10\0LO\x0c\0Fakename^Zoe"
    ),
    "a name for the class": dicom().replace(
        b"1.2.840.10008.5.1.4.1.1.1\0", b"1.2.840.10008.Fakename^Zo"
    ),
    "a name for the transfer syntax": dicom().replace(
        b"1.2.840.10008.1.2.1\0", b"Fakename^Zoe 123456\0"
    ),
    "a character set that is none": dicom(SpecificCharacterSet=NAME),
    "frames": dicom(NumberOfFrames=2),
}


@pytest.mark.parametrize("name", TROUBLED)
def test_identity_is_neither_shown_nor_logged(
    name: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        if name != "a character set that is none":  # one warning that only a filter stops
            warnings.simplefilter("always")
        try:
            radiograph = decode(TROUBLED[name])
            said += [repr(radiograph), *radiograph.warnings]
        except UnreadableImageError as error:
            said += traceback.format_exception(error)
    said += [str(one.message) for one in caught]
    said += [caplog.text, *capfd.readouterr()]
    assert not [secret for secret in SECRETS for text in said if secret in text.lower()]


def test_pydicom_stays_silent_where_it_would_quote(
    caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    caplog.set_level(logging.DEBUG)
    logging.getLogger("pydicom").warning("Invalid value: %s", NAME)
    decode(dicom())
    assert NAME not in caplog.text
    assert not [one for one in recwarn if NAME in str(one.message)]


# Robustness

DEEP = gradient().astype(np.uint16) * 16
FUZZED: dict[str, bytes] = {
    "8 bits": dicom(),
    "window": dicom(DEEP, BitsStored=12, WindowCenter=900, WindowWidth=900),
    "colour": dicom(np.repeat(gradient()[..., np.newaxis], 3, axis=2)),
    "implicit": dicom(syntax=ImplicitVRLittleEndian),
    "big endian": dicom(DEEP, ExplicitVRBigEndian),
    "deflated": dicom(syntax=DeflatedExplicitVRLittleEndian),
    "palette": bundled("examples_palette.dcm").replace(b"CS\x02\0US", b"CS\x02\0CR"),
    **{syntax.keyword: file for syntax, file in compressed().items()},
}


@pytest.mark.parametrize("name", FUZZED)
def test_flipped_bytes_give_an_image_or_a_refusal(name: str) -> None:
    rng = np.random.default_rng(list(FUZZED).index(name))
    slowest = 0.0
    for _ in range(30):  # of each of 13 files
        file = np.frombuffer(FUZZED[name], np.uint8).copy()
        reach = min(len(file), 1000) if rng.random() < 0.7 else len(file)  # headers break most
        places = rng.integers(128, reach, rng.integers(1, 8))
        file[places] = rng.integers(0, 256, len(places))
        start = time.process_time()
        try:
            image = decode(file.tobytes()).image
        except UnreadableImageError as error:
            assert str(error).endswith(".")  # noqa: PT017 - either outcome is right
        else:
            assert image.dtype == np.uint8
            assert image.ndim == 2
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 2


def test_random_headers_give_an_image_or_a_refusal() -> None:
    outcomes = set()
    slowest = 0.0
    for name, file in hostile_dicom.headers():
        assert isinstance(file, bytes)
        start = time.process_time()
        try:
            found = decode(file)
        except UnreadableImageError as error:
            assert str(error).endswith("."), name  # noqa: PT017 - either outcome is right
            outcomes.add(str(error)[:40])
        else:
            assert found.image.dtype == np.uint8
            assert found.image.shape == (60, 80), name
            outcomes.add(" ".join(found.warnings))
        slowest = max(slowest, time.process_time() - start)
    assert slowest < 2
    assert len(outcomes) > 10, "most headers break at the same place"
    assert {"", "greys_guessed"} <= outcomes


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("name", FUZZED)
def test_truncated_file_is_refused(name: str, share: float) -> None:
    file = FUZZED[name]
    with pytest.raises(UnreadableImageError, match=r"\.$"):
        decode(file[: int(len(file) * share)])


# The command line


def predicted(folder: Path) -> tuple[dict[str, Any], str]:
    """Rows of `predict` by bare file name, and all that it wrote."""
    command = ["predict", str(folder), "--no-gate", "--format", "jsonl"]  # drawn, no chests
    run = subprocess.run(
        [sys.executable, "-m", "xray_classifier", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    rows = {Path(row["file"]).name: row for row in map(json.loads, run.stdout.splitlines())}
    return rows, run.stdout + run.stderr


def test_predict_reads_dicom_and_tells_no_identity(tmp_path: Path) -> None:
    (tmp_path / "IM0001").write_bytes(dicom(PatientAge="045Y", ViewPosition="LL"))
    (tmp_path / "b.dcm").write_bytes(dicom(Modality="CT"))
    (tmp_path / "c.jpeg").write_bytes(encoded(gradient(), "JPEG"))
    for index, file in enumerate(TROUBLED.values()):
        (tmp_path / f"troubled{index}").write_bytes(file)
    rows, written = predicted(tmp_path)
    assert len(rows) == 3 + len(TROUBLED)
    assert rows["IM0001"]["status"] == "ok"
    assert 0 <= rows["IM0001"]["probability"] <= 1
    assert rows["IM0001"]["warnings"] == ["age_outside_1_to_5", "view_not_frontal", "not_valid"]
    assert (rows["b.dcm"]["status"], rows["b.dcm"]["probability"]) == ("rejected", None)
    assert "Modality (0008,0060) is CT" in rows["b.dcm"]["message"]
    assert rows["c.jpeg"]["warnings"] == ["not_valid"]
    assert not [secret for secret in SECRETS if secret in written.lower()]
    assert "pydicom" not in written
