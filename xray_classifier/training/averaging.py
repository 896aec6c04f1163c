"""Train the networks of a model that averages several, and make one of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from xray_classifier.errors import DatasetError
from xray_classifier.models.keras_network import keras_model
from xray_classifier.models.loading import KERAS, load_classifier
from xray_classifier.models.saving import save_model
from xray_classifier.models.spec import ModelSpec, write_spec
from xray_classifier.records.training import TrainingFacts
from xray_classifier.training.architecture import average_networks
from xray_classifier.training.recipes import Average
from xray_classifier.training.trainer import train


def train_average(
    average: Average,
    data: Path,
    out: Path,
    seed: int,
    patients: dict[str, str] | None = None,
    full: Path | None = None,
) -> Path:
    """Train each network in a folder of its name below `out`, then write their average to `out`.

    A run that was interrupted goes on where it stopped; networks that are done stay as they are.

    Args:
        average: what is averaged.
        data: as for `train`, as are all that follow.
        out: a folder for networks and model.
        seed: of each network.
        patients: of the files.
        full: radiographs at full resolution.

    Returns:
        The path of the model file.

    Raises:
        DatasetError: as for `train`, or a network that is there was trained with another seed or
            on other images.
    """
    target = out / f"{average.name}.keras"
    if target.exists():
        raise DatasetError(f"{target} is there already: that run has ended. Choose another --out.")
    networks, facts = {}, []
    for member in average.members:
        path = out / member.name / f"{member.name}.keras"
        if not path.exists():
            train(member, data, path.parent, seed, patients, full=full)
        classifier = load_classifier(str(path), runtime=KERAS)
        networks[member.name] = keras_model(classifier.network)
        facts.append(_facts_of(classifier.spec, path, seed))
    if len({each.training_sha256 for each in facts}) > 1:
        raise DatasetError(f"The networks in {out} saw different images. Choose another --out.")
    model = average_networks(networks, average.weights, average.name)
    spec = ModelSpec(
        average.name,
        average.title,
        target.name,
        answers=average.members[0].answers,
        training=_joined(average, facts),
    )
    save_model(model, spec, target, write_spec)
    return target


def _facts_of(spec: ModelSpec, path: Path, seed: int) -> TrainingFacts:
    if spec.training is None or spec.training.seed != seed:
        found = f"seed {spec.training.seed}" if spec.training else "no seed in its JSON"
        raise DatasetError(f"{path} has {found}; wanted is {seed}. Choose another --out or --seed.")
    return spec.training


def _joined(average: Average, facts: list[TrainingFacts]) -> TrainingFacts:
    """Say how the model was trained: what its networks have in common, and each of them whole."""
    last = facts[-1]
    names = (member.name for member in average.members)
    return replace(
        last,
        date=max(each.date for each in facts),
        recipe={
            "logits": "weighted mean of the networks'",
            "weights": dict(zip(names, average.weights, strict=True)),
        },
        recipe_name=average.name,
        figures_of_that_epoch={},
        networks=tuple(facts),
    )
