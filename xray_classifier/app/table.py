"""The table of many radiographs: a strip of counts that filters it, its order, its rows."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from xray_classifier.batch.queue import ORDERS, THUMBNAIL_SIDE, Case, Queue
from xray_classifier.batch.scoring import UNREADABLE
from xray_classifier.inference.etiology import NO_PROOF
from xray_classifier.inference.pipeline import REJECTED
from xray_classifier.inference.verdict import NORMAL, PNEUMONIA, UNCERTAIN

WORDS = (PNEUMONIA, UNCERTAIN, NORMAL, REJECTED, UNREADABLE)
_WANTED, _ORDER, _CHOSEN, _CLICKED = "show_only", "order", "chosen_case", "open_case"
_HEADING, _MOST_ROWS = 38, 5  # pixels; rows that are seen at once


def listed(queue: Queue) -> list[Case]:
    """What the table shows, from top to bottom, also while it is not on the page."""
    wanted = st.session_state.get(_WANTED) or WORDS
    order = st.session_state.get(_ORDER) or next(iter(ORDERS))
    return [case for case in queue.ordered(order) if case.word in wanted]


def show_table(queue: Queue) -> int | None:
    """Show what is judged so far; give the number of the study that the visitor opens, if any."""
    counts = Counter(case.word for case in queue.cases.values())
    st.pills(
        "Show only",
        WORDS,
        format_func=lambda word: f"**{counts[word]}** {word}",
        selection_mode="multi",
        key=_WANTED,
        persist_state="session",
    )
    row = st.container(horizontal=True)
    row.selectbox("Order", ORDERS, key=_ORDER, persist_state="session", width=280)
    shown = listed(queue)
    words = {case.number: case.word for case in shown}
    chosen = row.selectbox(  # the buttons in the table know no keyboard
        "Open a study",
        words,
        index=None,
        format_func=lambda number: f"{number}: {words[number]}",
        key=_CHOSEN,
        placeholder="Choose one, or click in the table",
        width=320,
    )
    told = any(case.etiology for case in queue.cases.values())
    _draw(shown, etiology=told)
    if told:
        st.caption(f"Bacterial or viral: {NO_PROOF}")
    if click := st.session_state.get(_CLICKED):
        return int(click["label"].split()[-1])
    return chosen


def forget_chosen() -> None:
    """Empty the box that opens a study, for the browser would send its last choice again."""
    st.session_state[_CHOSEN] = None


def _draw(cases: list[Case], etiology: bool) -> None:
    """Draw the rows.

    Args:
        cases: from top to bottom.
        etiology: whether there is a column for it.
    """
    columns: dict[str, list[object]] = {
        "open": [f"Open {case.number}" for case in cases],
        "image": [case.thumbnail for case in cases],
        "verdict": [case.word for case in cases],
        "probability": [_shown_probability(case) for case in cases],
        **({"etiology": [case.etiology for case in cases]} if etiology else {}),
        "remarks": [case.remarks for case in cases],
        "file": [case.row.file for case in cases],
    }
    config = st.column_config
    st.dataframe(
        columns,
        hide_index=True,
        height=_HEADING + THUMBNAIL_SIDE * min(max(len(cases), 1), _MOST_ROWS),
        row_height=THUMBNAIL_SIDE,
        placeholder="",
        key="cases",
        alt="The studies, in the order that is chosen above",
        column_config={
            "open": config.ButtonColumn("Study", key=_CLICKED, pinned=True),
            "image": config.ImageColumn("Image", width=THUMBNAIL_SIDE + 16),
            "verdict": config.TextColumn("Verdict"),
            "probability": config.ProgressColumn(
                "Pneumonia", max_value=100, format="%.1f %%", width=105
            ),
            "etiology": config.TextColumn("If so, it looks", width=130),
            "remarks": config.TextColumn("What to know", width=120 if etiology else 250),
            "file": config.TextColumn("Your file", width=180),
        },
    )


def _shown_probability(case: Case) -> float | None:
    """Give a probability in %, never as a certainty: `percent` does the same in words."""
    probability = case.row.probability
    return None if probability is None else 100 * min(max(probability, 0.001), 0.999)
