from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xray_classifier.calibration import comparison
from xray_classifier.calibration.comparison import compare_recipes, describe
from xray_classifier.calibration.out_of_fold import OutOfFold
from xray_classifier.cli.main import main
from xray_classifier.errors import DatasetError
from xray_classifier.evaluation.metrics import roc_auc

N = 800
FEW = 100  # samples of the bootstrap


def logistic(logits: Any) -> Any:
    return 1 / (1 + np.exp(-logits))


def table(trust: float) -> OutOfFold:
    """Answers of a recipe that sees the lungs, and trusts the machine by so much."""
    rng = np.random.default_rng(4)
    labels = np.arange(N) % 2
    sign = 2 * labels - 1
    machine = rng.normal(1.5 * sign, 1)
    lungs = rng.normal(sign, 1)
    return OutOfFold(
        labels=labels,
        probabilities=logistic(lungs + trust * machine),
        patients=tuple(f"p{number // 4}" for number in range(N)),
        folds=2,
        rendering=logistic(3 * machine),  # what it tells of the label, as Bayes has it
        files=tuple(f"{number}.png" for number in range(N)),
    )


def shuffled(answers: OutOfFold) -> OutOfFold:
    order = np.random.default_rng(0).permutation(N)
    return replace(
        answers,
        probabilities=answers.probabilities[order],
        files=tuple(answers.files[row] for row in order),
    )


def test_recipe_that_trusts_the_machine_is_behind_where_it_misleads() -> None:
    found = compare_recipes(table(trust=1.5), table(trust=0), FEW)
    assert found["AUC, hard images"].difference.low > 0
    assert found["log-loss, rendering-balanced"].difference.high < 0
    assert found["AUC, every image once"].difference.high < 0  # where it does not, it helps


def test_difference_is_that_of_the_figures_and_lies_in_its_interval() -> None:
    one, other = table(trust=1.5), table(trust=0)
    compared = compare_recipes(one, other, FEW)
    for before, after, estimate in compared.values():
        assert estimate.value == pytest.approx(after - before, abs=1e-12)
        assert estimate.low < estimate.value < estimate.high
    auc = compared["AUC, every image once"]
    assert auc.second == pytest.approx(roc_auc(other.labels, other.probabilities, np.ones(N)))


def test_images_are_told_by_name_and_scaling_is_no_difference() -> None:
    one = table(trust=1.5)
    other = shuffled(replace(one, probabilities=logistic(np.log(odds(one)) / 2 - 2)))
    for before, after, estimate in compare_recipes(one, other, FEW).values():
        assert after == pytest.approx(before, abs=1e-6)
        assert (estimate.low, estimate.high) == pytest.approx((0, 0), abs=1e-5)


def odds(answers: OutOfFold) -> Any:
    return answers.probabilities / (1 - answers.probabilities)


def test_tables_of_other_images_are_refused() -> None:
    other = replace(table(trust=0), files=("new.png", *(f"{number}.png" for number in range(1, N))))
    with pytest.raises(DatasetError, match="answer 800 and 800 images, of which 799 are the same"):
        compare_recipes(table(trust=1.5), other)


def test_table_without_rendering_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"no column rendering\. Run its `cross-validate` again"):
        compare_recipes(replace(table(trust=1.5), rendering=None), table(trust=0))


def test_command_prints_a_line_for_each_figure(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(comparison, "compare_recipes", partial(compare_recipes, resamples=FEW))
    paths = [tmp_path / "first.csv", tmp_path / "second.csv"]
    for path, answers in zip(paths, (table(trust=1.5), table(trust=0)), strict=True):
        write(answers, path)
    assert main(["compare", *map(str, paths)]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["first", "second"]
    assert [line[:29].strip() for line in lines] == [
        "log-loss, every image once",
        "log-loss, rendering-balanced",
        "AUC, every image once",
        "AUC, rendering-balanced",
        "AUC, hard images",
    ]
    assert "\n".join(lines) in describe(compare_recipes(table(trust=1.5), table(trust=0), FEW))


def write(answers: OutOfFold, path: Path) -> None:
    assert answers.rendering is not None
    rows = zip(
        answers.files,
        answers.patients,
        np.where(answers.labels, "pneumonia", "normal"),
        np.arange(N) % 2,
        answers.probabilities.tolist(),
        answers.rendering.tolist(),
        strict=True,
    )
    lines = ["file,patient,label,fold,probability,rendering"]
    path.write_text("\n".join(lines + [",".join(map(str, row)) for row in rows]) + "\n")
