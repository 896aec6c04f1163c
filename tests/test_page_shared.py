"""Choices are read from the address of the page; that they are written there takes a browser."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from xray_classifier import loading


def script() -> None:
    import streamlit as st

    from xray_classifier.page_shared import choose_model

    st.text(choose_model())


@pytest.fixture
def page() -> AppTest:
    return AppTest.from_function(script)


def test_default_model_is_chosen_and_leaves_the_address_alone(page: AppTest) -> None:
    assert page.run().text[0].value == "default"
    assert not page.query_params


def test_address_chooses_the_model(page: AppTest) -> None:
    page.query_params["model"] = "article"
    assert page.run().text[0].value == "article"


@pytest.mark.parametrize("rubbish", ["", "no-such-model", "../default", "Article", "1"])
def test_rubbish_in_the_address_means_the_default(page: AppTest, rubbish: str) -> None:
    page.query_params["model"] = rubbish
    page.run()
    assert page.text[0].value == "default"
    assert not page.exception


def test_without_any_model_the_default_is_named(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "model_names", list)
    assert page.run().text[0].value == "default"
