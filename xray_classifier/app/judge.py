"""The page that judges: upload a chest radiograph, see what the model makes of it."""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.uploaded_file_manager import UploadedFile

from xray_classifier.app.many import forget_many, show_many
from xray_classifier.app.one_image import show_one
from xray_classifier.app.session import TITLE, show_heading
from xray_classifier.imaging.sample import sample_png
from xray_classifier.inference.pipeline import Choices
from xray_classifier.inputs.decoding import MAX_BYTES, SUPPORTED
from xray_classifier.inputs.zip_archive import is_hidden, is_zip

WHAT_TO_UPLOAD = f"""
**Drop one frontal chest X-ray above to begin.**

- Or several, a folder or a ZIP of them; at most {MAX_BYTES // 2**20} MB a file.
- The radiograph itself, of a child of 1 to 5 years, upright and uncropped; not a photo of a screen,
  not a side view.
- It stays in memory until minutes after the page is closed, and is never stored. Of a DICOM header
  only what bears on the picture is read: no name, no identifier, unless you ask for them in a
  report.
"""
WHAT_COMES_BACK = """
- A network's probability of pneumonia, and the verdict that follows from it; *uncertain* where a
  human must decide.
- Reasons for doubt, where the image gives any. What is no upright chest X-ray is refused.
- On demand a heatmap of what raised the score.
- No diagnosis: *normal* does not mean healthy, and *pneumonia* does not mean that a doctor would
  agree.
"""
WHERE_TO_GET_ONE = """
Children's chest X-rays for anyone to use:
[Kermany et al. on Mendeley Data](https://doi.org/10.17632/rscbjbr9sj) (CC BY 4.0), also
[on Kaggle](https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia). The models
learned from the folder `train`, so try one of `test`.

Or see how it goes with a picture that this program draws.
"""
SAMPLE_NOTE = (
    "You see a cartoon that this program has drawn, no radiograph. An honest answer is to refuse "
    "it; its output can be shown all the same."
)
SAMPLE, DRAWN = "sample", "drawn"  # in the address of the page


def show_judge_page(name: str, choices: Choices) -> None:
    """Draw the page from top to bottom, for the model of that name and what else was chosen.

    Help and results have a place each, and the one that is not drawn is emptied first: otherwise
    pieces of it would stand among the other's until those are all there.
    """
    show_heading(TITLE)
    uploads = choose_files()
    sample = not uploads and st.query_params.get(SAMPLE) == DRAWN
    many = len(uploads) > 1 or any(is_zip(upload.getvalue()) for upload in uploads)
    if not many:
        forget_many()
    help_place = st.empty()
    if not uploads and not sample:
        st.empty()
        with help_place.container():
            show_first_help()
        return
    with st.container():
        if many:
            show_many(uploads, name, choices)
        elif uploads:
            show_one(uploads[0].getvalue(), name, choices, uploads[0].name)
        else:
            show_sample(name, choices)


def show_sample(name: str, choices: Choices) -> None:
    """Judge the drawn sample, and say that it is one."""
    st.info(SAMPLE_NOTE, icon=":material/draw:")
    st.button("Put the drawn sample away", on_click=_put_sample_away)
    show_one(sample_png(), name, choices)


def choose_files() -> list[UploadedFile]:
    """Take one file, several, or what is not hidden in a folder."""
    place = st.container()
    folder = st.toggle("Choose a whole folder", key="folder")
    kinds = f"Drop X-rays here: {SUPPORTED}, or a ZIP of them"
    uploads = place.file_uploader(kinds, accept_multiple_files="directory" if folder else True)
    return [upload for upload in uploads if not is_hidden(upload.name.partition("/")[2])]


def show_first_help() -> None:
    """Say what to upload, what comes back, and where one gets an image."""
    upload, answer, source = st.columns(3, gap="medium")
    with upload:
        st.header("What to upload")
        st.markdown(WHAT_TO_UPLOAD)
    with answer:
        st.header("What comes back")
        st.markdown(WHAT_COMES_BACK)
    with source:
        st.header("No X-ray at hand?")
        st.markdown(WHERE_TO_GET_ONE)
        st.button("Try it with a drawn sample", on_click=_take_sample)


def _take_sample() -> None:
    st.query_params[SAMPLE] = DRAWN


def _put_sample_away() -> None:
    del st.query_params[SAMPLE]
