"""The page: upload a chest radiograph, see what the model makes of it."""

from __future__ import annotations

import streamlit as st

from xray_classifier.decoding import MAX_BYTES, SUPPORTED
from xray_classifier.page_shared import choose_model
from xray_classifier.page_study import show_study
from xray_classifier.page_uploads import keep_in_memory

TITLE = "Pneumonia on children's chest X\u2011rays"  # a hyphen that does not break the line

STANDING_LINE = (
    "For research and education only. **Not a medical device.** "
    "Trained on frontal chest X-rays of children of 1 to 5 years."
)
EMPTY_STATE = f"""
**Drop one frontal chest X-ray above to begin.**

- A single image as {SUPPORTED}, at most {MAX_BYTES // 2**20} MB.
- The radiograph itself, upright and uncropped; not a photo of a screen, not a side view.
- It stays in this server's memory while the page is open, and is never stored. Of a DICOM file's
  header only what bears on the picture is read: no name, no identifier.
"""


def main() -> None:
    """Draw the page from top to bottom."""
    keep_in_memory()
    st.set_page_config(TITLE, "🫁", layout="wide")
    st.title(TITLE)
    st.caption(STANDING_LINE)
    name = choose_model()
    upload = st.file_uploader(f"Chest X-ray ({SUPPORTED})")
    if upload is None:
        st.info(EMPTY_STATE)
    else:
        show_study(upload.getvalue(), name)


main()
