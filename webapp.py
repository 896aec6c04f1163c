"""The app: a page that judges chest radiographs, one that opens a network, one about the model."""

from __future__ import annotations

import streamlit as st

from xray_classifier.app.judge import show_judge_page
from xray_classifier.app.learn import show_learn_page
from xray_classifier.app.model import show_model_page
from xray_classifier.app.session import (
    SIDEBAR,
    TITLE,
    choose_how,
    choose_model,
    keep_uploads_in_memory,
)


def main() -> None:
    """Draw the page that is asked for; the choices stand beside it."""
    keep_uploads_in_memory()
    pages = [
        st.Page(
            lambda: show_judge_page(name, choose_how(name)), title="Judge X-rays", default=True
        ),
        st.Page(lambda: show_learn_page(name), title="Learn", url_path="learn"),
        st.Page(lambda: show_model_page(name), title="About the model", url_path="model"),
    ]
    page = st.navigation(pages, position="top")
    st.set_page_config(f"{page.title} | {TITLE}", "🫁", "wide", SIDEBAR)
    name = choose_model()
    page.run()


main()
