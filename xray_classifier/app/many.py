"""Many radiographs on the page: a table that fills while they are judged, and each on its own.

A fragment draws what is there, judges for a moment and calls itself again, so that whatever a
visitor does is answered between two moments. Streamlit ends it when the page is closed. Everything
lives in the visitor's session and goes when the upload is removed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.uploaded_file_manager import UploadedFile

from xray_classifier.app.export import offer_all
from xray_classifier.app.one_image import show_one
from xray_classifier.app.session import TURNS, model_source, shared_classifier, shared_gate
from xray_classifier.app.table import forget_chosen, listed, show_table
from xray_classifier.batch.queue import Queue
from xray_classifier.batch.scoring import score_source
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.inference.pipeline import Choices
from xray_classifier.inputs.sources import Source, sources_of_upload

TICK = 0.5  # seconds until the browser calls the fragment, which in a run of the page cannot itself
SLICE = 1.0  # seconds of judging between two drawings
SLOWER_PER_CASE = 0.002  # seconds: the longer the table, the rarer it is sent
_STATE = "many"


@dataclass
class _State:
    files: tuple[str, ...]
    model: str
    choices: Choices
    queue: Queue
    stopped: bool = False
    opened: int | None = None
    failure: str = ""
    walk: str = field(default_factory=lambda: uuid4().hex)

    @property
    def working(self) -> bool:
        return not (self.queue.finished or self.stopped or self.failure)


def show_many(uploads: Sequence[UploadedFile], name: str, choices: Choices) -> None:
    """Judge many files, and archives of them, with the model of that name."""
    state = _state(uploads, name, choices)
    place = st.container()
    if state.opened is None:
        st.empty()  # takes away at once what stood here, before the page waits for a slice
    else:
        with st.container():
            _show_opened(state, state.opened)
    with place:  # at last: judging holds up what follows
        st.fragment(_show_list, run_every=TICK if state.working else None)(state)


def forget_many() -> None:
    """Drop what was judged, for its upload is gone."""
    st.session_state.pop(_STATE, None)


def _state(uploads: Sequence[UploadedFile], name: str, choices: Choices) -> _State:
    """Keep the state while upload and choices stay; by the same choices nothing is judged twice."""
    files = tuple(upload.file_id for upload in uploads)
    old: _State | None = st.session_state.get(_STATE)
    if old and (old.files, old.model, old.choices) == (files, name, choices):
        return old
    sources: dict[str, Source] = {}
    for upload in uploads:
        for source in sources_of_upload(upload.name, upload.getvalue()):
            sources[f"{upload.file_id}/{source.name}"] = source
    known = old.queue.cases if old and (old.model, old.choices) == (name, choices) else {}
    opened = old.opened if old and old.files == files else None
    state = _State(files, name, choices, Queue(sources, known), opened=opened)
    if old and old.files == files:
        state.walk = old.walk
    st.session_state[_STATE] = state
    return state


def _show_list(state: _State) -> None:
    working = state.working
    with st.container():  # so that the table keeps its place, and with it its scrolling
        _show_progress(state)
    if state.opened is None and state.queue.cases:
        with st.container():
            _show_table(state)
    else:
        st.empty()
    if working:
        _judge_slice(state)
        _go_on(state)


def _go_on(state: _State) -> None:
    if not state.working:
        st.rerun()  # the page, without the timer
    with contextlib.suppress(StreamlitAPIException):  # in a run of the page, see TICK
        st.rerun(scope="fragment")


def _judge_slice(state: _State) -> None:
    try:
        with st.spinner("Starting the model. After a pause this takes some seconds …"):
            classifier = shared_classifier(state.model, model_source(state.model))
            gate = shared_gate()
        score = partial(score_source, classifier=classifier, gate=gate, choices=state.choices)
        with TURNS:
            state.queue.advance(score, SLICE + SLOWER_PER_CASE * len(state.queue.cases))
    except ModelUnavailableError as error:
        state.failure = f"The model cannot be used, so there is no verdict. {error}"


def _show_progress(state: _State) -> None:
    """Say how far it is; offer to stop, or to go on."""
    done, total = len(state.queue.cases), len(state.queue)
    if state.failure:
        st.error(state.failure, icon=":material/error:")
    if not state.queue.finished:
        st.progress(done / total, f"{done} of {total} judged")
        if not state.failure and st.button("Stop judging" if state.working else "Go on"):
            state.stopped = not state.stopped
            st.rerun()


def _show_table(state: _State) -> None:
    """Show what is judged so far, to be opened or taken away."""
    state.opened = show_table(state.queue)
    if state.opened is not None:
        st.rerun()
    if not state.working:
        offer_all(state.queue, state.model)


def _show_opened(state: _State, number: int) -> None:
    """Show one case as if it had been uploaded alone, with ways back and on."""
    source = state.queue.source(number)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.header(f"Study {number}", width="content")
        _show_ways(state, number)
        st.text(source.name, width="content")
    try:
        data = source.read()
    except UnreadableImageError as error:
        st.error(str(error), icon=":material/broken_image:")
    else:
        show_one(data, state.model, state.choices, source.name, number, state.walk)


def _show_ways(state: _State, number: int) -> None:
    """Lead back to the table, and on to what stands beside a study there."""
    numbers = [case.number for case in listed(state.queue)]
    place = numbers.index(number) if number in numbers else None
    before = numbers[place - 1] if place else None
    after = None if place is None else next(iter(numbers[place + 1 :]), None)
    st.button("Back to the table", icon=":material/grid_on:", on_click=_open, args=(state, None))
    for label, icon, key, other in (
        ("Previous", ":material/arrow_back:", "Left", before),
        ("Next", ":material/arrow_forward:", "Right", after),
    ):
        st.button(
            label,
            icon=icon,
            shortcut=key,
            disabled=other is None,
            on_click=_open,
            args=(state, other),
        )
    if place is not None:
        st.caption(f"{place + 1} of {len(numbers)} in the table", width="content")


def _open(state: _State, number: int | None) -> None:
    state.opened = number
    forget_chosen()
