"""The steps from pixels to a probability, and the experiments, as they stand on the page."""

from __future__ import annotations

import numpy as np
import streamlit as st

from xray_classifier.errors import ModelUnavailableError
from xray_classifier.imaging.preprocessing import SIDE, Tensor, preprocess, scale
from xray_classifier.imaging.radiograph import GreyImage
from xray_classifier.inference.verdict import percent, verdict_of
from xray_classifier.learn import pictures
from xray_classifier.learn.experiments import EXPERIMENTS, FULL_RESOLUTION, Experiment
from xray_classifier.learn.source import source_of
from xray_classifier.learn.steps import Block, Steps, take_steps
from xray_classifier.model_card.markdown import decimals
from xray_classifier.models.classifier import Classifier
from xray_classifier.models.loading import DEFAULT_MODEL
from xray_classifier.models.spec import read_report
from xray_classifier.records.checks import StressReport

CLOSED = (
    "What lies within this network cannot be shown: something else than ONNX Runtime runs it, or "
    "its ONNX file is older than this page. Export it anew."
)
OTHER = (
    "`{name}` is two networks in one. Both take the same tensor, halve it and leave out its "
    "outermost edge: 224 x 224 pixels stay. One sees them sharp, the other one blurred. Each has "
    "many more and smaller convolutions than the article's network, which met ordinary photographs "
    "first. Their logits are averaged, the blurred view's counting twice, and a sigmoid makes the "
    "probability of the mean; a second one tells bacterial from viral pneumonia."
)
SQUEEZED = (
    "Networks take pictures of one size. Everything is squeezed to 500 x 500 pixels, each a *grey "
    "value* from 0, black, to 255, white. The shape of the body is given up; each new pixel is an "
    "average of the old ones below it (*antialiased*), so that nothing is lost but detail."
)
SCALED = (
    "Times 1/255: numbers from 0 to 1, on which training goes more smoothly. With one *channel*, "
    "for grey, this is the *tensor* that the network takes."
)
BLOCKS = """
A *convolution* slides small *filters* of 3 x 3 weights over all channels and notes, place by place,
how well the picture matches. *ReLU* sets what is below 0 to 0. A *pooling* keeps the strongest of
every 2 x 2 places, so that the picture halves. Out comes a *feature map* for each filter. Five such
*blocks* follow each other, from edges to larger patterns. A cell sees a square of the picture, its
*receptive field*. *Parameters* are the numbers that training found.
"""
VECTOR = "The last maps, place after place, in one row. From here on nothing knows of up and down."
DENSE = (
    "In a *dense* layer each unit weighs all numbers before it, adds them up, and keeps what is "
    "above 0. Most of the {total:,} parameters of the network are in the first one."
)
SIGMOID = (
    "The last unit's sum, the *logit*, can be any number. The *sigmoid* 1 / (1 + exp(-logit)) "
    "squeezes it to a probability. From the *threshold* on, pneumonia is called."
)

EXPERIMENTS_ARE = (
    "Each changes something in your picture, as it was decoded, that is no illness. The figures "
    "beside it come from *held-out* images, of children that no network learned from: by how much "
    "the same change moved the probability, on average, or how well the networks still tell the "
    "ill from the healthy. *AUC* is the chance that of one ill and one healthy child the ill one "
    "gets the higher number. In brackets stand 95 % intervals."
)


def show_code(place: str, name: str) -> None:
    """Offer the lines that do a step, as they are installed."""
    with st.expander(f"The code: `{name}` in `{place}`"):
        st.code(source_of(place, name))


def show_first_steps(
    decoded: GreyImage, size: tuple[int, int], squeezed: GreyImage, tensor: Tensor
) -> None:
    """Show the picture as decoded, squeezed, and scaled with what was changed."""
    columns = st.columns(3)
    with columns[0]:
        st.subheader("1. Decoded")
        st.image(decoded, alt="The picture as decoded", width="stretch")
        st.caption(f"{size[0]} x {size[1]} pixels, grey")
    with columns[1]:
        st.subheader("2. Squeezed")
        st.image(squeezed, alt="The picture squeezed to a square", width="stretch")
        st.caption(f"{SIDE} x {SIDE} pixels, mean grey {squeezed.mean():.1f}")
    with columns[2]:
        st.subheader("3. Scaled")
        with_changes = "" if np.array_equal(tensor, scale(squeezed)) else ", with your changes"
        shown = pictures.as_picture(tensor)
        st.image(shown, alt=f"What the network takes{with_changes}", width="stretch")
        st.caption(f"{SIDE} x {SIDE} x 1, mean {tensor.mean():.4f}{with_changes}")
    st.markdown(SQUEEZED)
    show_code("imaging/preprocessing.py", "resize")
    st.markdown(SCALED)
    show_code("imaging/preprocessing.py", "scale")


def show_network(classifiers: list[Classifier], tensor: Tensor) -> None:
    """Show what the article's network makes of the tensor, block by block, to the verdict."""
    article, other = classifiers
    steps = take_steps(article.network, tensor)
    st.subheader("4. Five blocks")
    st.markdown(BLOCKS)
    if steps is None:
        st.info(CLOSED, icon=":material/lock:")
        return
    _show_block(steps)
    show_code("training/architecture.py", "build_article_cnn")
    _show_head(steps, article)
    if other.spec.name == DEFAULT_MODEL:
        left, right = st.columns([1, 1.6])
        sharp, soft = pictures.seen_by_default(tensor)
        left.image(sharp, alt="The sharp view of the default model", width="stretch")
        left.image(soft, alt="Its blurred view", width="stretch")
        right.markdown(OTHER.format(name=DEFAULT_MODEL))
        show_code("training/architecture.py", "build_lite_network")


def _show_block(steps: Steps) -> None:
    """Show the feature maps of the block that is chosen, and one of them large."""
    numbers = [block.number for block in steps.blocks]
    chosen = st.segmented_control("Block", numbers, default=1, required=True, key="learn_block")
    block = steps.blocks[(chosen or 1) - 1]
    filters, rows, columns = block.maps.shape
    st.markdown(
        f"{filters} maps of {rows} x {columns} cells · receptive field {block.receptive_field} x "
        f"{block.receptive_field} pixels · {block.parameters:,} parameters"
    )
    st.image(
        pictures.grid_of_maps(block.maps),
        alt=f"The {filters} feature maps of block {block.number}",
        caption="Black 0, white the strongest answer of each map",
        width="stretch",
    )
    number = st.slider("Filter, counted row by row", 1, filters, 1, key=f"learn_filter_{filters}")
    _show_filter(block, number)


def _show_filter(block: Block, number: int) -> None:
    """Show one feature map large, beside the weights of its filter."""
    answers, weights = block.maps[number - 1], block.kernels[number - 1]
    left, right = st.columns([1.6, 1])
    left.image(
        pictures.enlarge(pictures.stretch(answers), 498),
        alt=f"Feature map {number} of block {block.number}",
        caption=f"Map {number}: mean {answers.mean():.4f}, largest {answers.max():.4f}",
        width="stretch",
    )
    channels = len(weights)
    right.image(
        pictures.kernel_picture(weights),
        alt=f"The weights of filter {number} of block {block.number}",
        caption=f"Its filter: 3 x 3 weights for {channels} channel{'s' * (channels > 1)}, "
        "grey 0, white above, black below",
        width="stretch" if channels > 1 else "content",
    )


def _show_head(steps: Steps, article: Classifier) -> None:
    """Show vector, dense layers, sigmoid and threshold."""
    st.subheader(f"5. A vector of {len(steps.vector):,} numbers")
    left, right = st.columns([1, 1.6])
    side = round(len(steps.vector) ** 0.5)
    left.image(pictures.bar_of(steps.vector, side), alt="The vector, row by row", width="stretch")
    right.markdown(VECTOR)
    right.markdown(f"{_share_of_zeros(steps.vector)} of them are 0.")
    st.subheader("6. Dense layers")
    st.markdown(DENSE.format(total=steps.parameters))
    for column, values, count in zip(
        st.columns(2), steps.dense, steps.dense_parameters, strict=False
    ):
        column.image(
            pictures.bar_of(values, 16),
            alt=f"The outputs of {len(values)} units",
            caption=f"{len(values)} units, {count:,} parameters; "
            f"{_share_of_zeros(values)} of them give 0",
            width="stretch",
        )
    st.subheader("7. Sigmoid and threshold")
    st.markdown(SIGMOID)
    point = article.spec.point(None)
    st.markdown(
        f"Logit **{steps.logit:.3f}**, probability **{percent(steps.probability)}**, threshold "
        f"{percent(point.threshold)}: this network would say "
        f"**{verdict_of(steps.probability, point)}**."
    )
    show_code("inference/verdict.py", "verdict_of")


def _share_of_zeros(values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> str:
    return f"{100 * float((values == 0).mean()):.0f} %"


def show_experiments(image: GreyImage, classifiers: list[Classifier]) -> None:
    """Offer the article's choices to be tried on the picture as it was decoded."""
    st.header("What the article did, put to the test")
    st.markdown(EXPERIMENTS_ARE)
    for experiment in EXPERIMENTS:
        if st.toggle(experiment.title, key=f"learn_{experiment.change.__name__}"):
            _show_experiment(experiment, image, classifiers)


def _show_experiment(
    experiment: Experiment, image: GreyImage, classifiers: list[Classifier]
) -> None:
    before, after = preprocess(image), experiment.change(image)
    left, right, words = st.columns([1, 1, 1.6])
    for column, tensor, caption in ((left, before, "As it is"), (right, after, experiment.title)):
        column.image(
            pictures.as_picture(tensor),
            caption=caption,
            alt=f"The picture: {caption}",
            width="stretch",
        )
    with words:
        st.markdown(experiment.why)
        for classifier in classifiers:
            plain, changed = classifier.probabilities(np.stack([before, after]))
            st.markdown(
                f"On this picture `{classifier.spec.name}` goes from **{percent(plain)}** to "
                f"**{percent(changed)}**. {_measured(experiment, classifier)}"
            )
        show_code("learn/experiments.py", experiment.change.__name__)


def _measured(experiment: Experiment, classifier: Classifier) -> str:
    """Say what was measured on held-out patients, from the model's own report."""
    try:
        report = read_report(StressReport, classifier.spec)
    except ModelUnavailableError:
        report = None
    if report is None:
        return ""
    found = []
    for name in experiment.measured:
        if name in report.border_alone:
            auc = decimals(report.border_alone[name])
            found.append(f"*{name}*, AUC {auc}; .5 is chance")
        elif name == FULL_RESOLUTION and report.full_resolution:
            change = decimals(report.full_resolution.change.mean_change)
            images = report.full_resolution.images
            found.append(f"*{name}*, of {images} of them, mean change {change}")
        elif name in report.perturbations:
            change = decimals(report.perturbations[name].mean_change)
            found.append(f"*{name}*, mean change {change}")
    if not found:
        return ""
    return f"Measured on {report.images:,} held-out images: {'; '.join(found)}."
