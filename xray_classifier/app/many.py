"""Many radiographs on the page: a table that fills while they are judged, and each on its own.

A fragment draws what is there, judges for a moment and calls itself again, so that whatever a
visitor does is answered between two moments. Streamlit ends it when the page is closed. Everything
lives in the visitor's session and goes when the upload is removed.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st
from streamlit.errors import StreamlitAPIException
from streamlit.runtime.uploaded_file_manager import UploadedFile

from xray_classifier.app.one_image import show_one
from xray_classifier.app.queue import THUMBNAIL_SIDE, Case, Queue
from xray_classifier.app.session import TURNS, model_source, shared_classifier, shared_gate
from xray_classifier.batch.formats import csv_of_cases
from xray_classifier.batch.scoring import score_source
from xray_classifier.errors import ModelUnavailableError, UnreadableImageError
from xray_classifier.inference.pipeline import Choices
from xray_classifier.inference.warnings import sentences
from xray_classifier.inputs.sources import Source, sources_of_upload

TICK = 0.5  # seconds until the browser calls the fragment, which in a run of the page cannot itself
SLICE = 1.0  # seconds of judging between two drawings
SLOWER_PER_CASE = 0.002  # seconds: the longer the table, the rarer it is sent
_STATE, _OPEN = "many", "open_case"


@dataclass
class _State:
    files: tuple[str, ...]
    model: str
    choices: Choices
    queue: Queue
    stopped: bool = False
    opened: int | None = None
    failure: str = ""

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
    """Show what is judged so far, filtered, to be opened or taken away."""
    ranked = state.queue.ranked()
    counts = Counter(case.word for case in ranked)
    st.markdown(" · ".join(f"{count} {word}" for word, count in counts.items()))
    wanted = st.pills(
        "Show only",
        sorted(counts),
        selection_mode="multi",
        key="show_only",
        persist_state="session",
    )
    shown = [case for case in ranked if not wanted or case.word in wanted]
    words = {case.number: case.word for case in shown}
    state.opened = st.selectbox(  # the buttons in the table know no keyboard
        "Open a study",
        words,
        index=None,
        format_func=lambda number: f"{number}: {words[number]}",
        key="chosen_case",
        placeholder="Choose one, or click in the table",
        width=320,
    )
    _table(shown)
    if click := st.session_state.get(_OPEN):
        state.opened = int(click["label"].split()[-1])
    if state.opened is not None:
        st.rerun()
    if not state.working:
        _offer_csv(state.queue)


def _table(cases: list[Case]) -> None:
    columns: dict[str, list[object]] = {
        "open": [f"Open {case.number}" for case in cases],
        "image": [case.thumbnail for case in cases],
        "verdict": [case.word for case in cases],
        "probability": [_shown_probability(case) for case in cases],
        "remarks": [_remarks(case) for case in cases],
        "file": [case.row.file for case in cases],
    }
    config = st.column_config
    st.dataframe(
        columns,
        hide_index=True,
        row_height=THUMBNAIL_SIDE,
        placeholder="",
        key="cases",
        alt="The studies, likeliest pneumonia first",
        column_config={
            "open": config.ButtonColumn("Study", key=_OPEN, pinned=True),
            "image": config.ImageColumn("Image", width="small"),
            "verdict": config.TextColumn("Verdict"),
            "probability": config.ProgressColumn(
                "Pneumonia", max_value=100, format="%.1f %%", width=105
            ),
            "remarks": config.TextColumn("What to know", width=250),
            "file": config.TextColumn("Your file", width=180),
        },
    )


def _shown_probability(case: Case) -> float | None:
    """Give a probability in %, never as a certainty: `percent` does the same in words."""
    probability = case.row.probability
    return None if probability is None else 100 * min(max(probability, 0.001), 0.999)


def _remarks(case: Case) -> str:
    return " ".join([case.row.message, *sentences(case.row.warnings)]).strip()


def _offer_csv(queue: Queue) -> None:
    named = st.checkbox("with file names", key="with_file_names", persist_state="session")
    rows = {case.number: case.row for case in queue.cases.values()}
    st.download_button(
        "Download all as CSV",
        csv_of_cases(rows, named),
        file_name="studies.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _show_opened(state: _State, number: int) -> None:
    """Show one case as if it had been uploaded alone, with a way back."""
    if st.button("Back to the table", icon=":material/arrow_back:"):
        state.opened = None
        st.rerun()
    source = state.queue.source(number)
    st.header(f"Study {number}")
    st.text(source.name)
    try:
        data = source.read()
    except UnreadableImageError as error:
        st.error(str(error), icon=":material/broken_image:")
    else:
        show_one(data, state.model, state.choices, source.name, number)
