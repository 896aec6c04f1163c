from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import gaussian_filter

from xray_classifier.imaging.preprocessing import Tensor
from xray_classifier.rendering.bands import FAINTEST, band_energies, transfer_rendering

FINEST, COARSEST = 0, 4


def noise(seed: int = 0, side: int = 224, deviation: float = 0.1) -> Tensor:
    drawn = np.random.default_rng(seed).normal(0.5, deviation, (1, side, side, 1))
    return np.clip(drawn, 0, 1).astype(np.float32)


def blurred(batch: Tensor, sigma: float) -> Tensor:
    return gaussian_filter(batch, (0, sigma, sigma, 0), mode="reflect").astype(np.float32)


def chest(side: int = 224, seed: int = 0) -> Tensor:
    """Draw two dark fields on grey, with ribs across and a little noise."""
    y, x = np.mgrid[:side, :side] / side
    fields = sum(
        ((x - centre) / 0.17) ** 2 + ((y - 0.5) / 0.33) ** 2 < 1 for centre in (0.28, 0.72)
    )
    ribs = 0.08 * np.sin(2 * np.pi * 9 * (y + 0.2 * np.abs(x - 0.5)))
    grain = np.random.default_rng(seed).normal(0, 0.02, (side, side))
    drawn = 0.65 - 0.35 * np.asarray(fields) + ribs + grain
    return np.clip(drawn, 0, 1).astype(np.float32)[np.newaxis, ..., np.newaxis]


def correlation(one: Tensor, other: Tensor) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def edges(batch: Tensor) -> NDArray[np.float64]:
    """How steep the picture is, once fine grain is gone."""
    down, across = np.gradient(gaussian_filter(batch[0, ..., 0].astype(float), 2))
    return np.hypot(down, across)


def test_there_are_five_numbers_for_each_image() -> None:
    assert band_energies(np.concatenate([noise(0), noise(1), noise(2)])).shape == (3, 5)


def test_energy_is_the_logarithm_of_a_standard_deviation() -> None:
    # A wave of 4 pixels loses exp(-(2 pi / 4)^2 / 2) = .29 of its amplitude to a Gaussian of 1.
    x = np.arange(224)
    wave = 0.5 + 0.2 * np.cos(2 * np.pi * (x + 0.5) / 4)
    batch = np.broadcast_to(wave, (1, 224, 224))[..., np.newaxis].astype(np.float32)
    kept = 1 - np.exp(-0.5 * (2 * np.pi / 4) ** 2)
    found = band_energies(batch)[0]
    assert found[FINEST] == pytest.approx(np.log(kept * 0.2 / np.sqrt(2)), abs=0.01)
    assert (found[2:] < np.log(0.002)).all()


def test_doubled_contrast_doubles_every_band() -> None:
    batch = blurred(noise(), 1)
    doubled = 0.5 + 2 * (batch - 0.5)
    assert band_energies(doubled) - band_energies(batch) == pytest.approx(np.log(2), abs=1e-3)


def test_brightness_tells_nothing() -> None:
    batch = noise(deviation=0.02)
    assert band_energies(batch + np.float32(0.2)) == pytest.approx(band_energies(batch), abs=1e-3)


def test_energies_are_blind_to_place() -> None:
    batch = blurred(noise(), 1)
    for moved in (batch[:, ::-1], batch[:, :, ::-1], batch.transpose(0, 2, 1, 3)):
        assert band_energies(moved) == pytest.approx(band_energies(batch), abs=1e-3)
    # the same spot here or there
    spots = np.full((2, 224, 224, 1), 0.5, np.float32)
    spots[0, 60:70, 60:70] = spots[1, 140:150, 100:110] = 1
    here, there = band_energies(spots)
    assert there == pytest.approx(here, abs=0.02)


def test_what_stands_at_the_edge_is_not_measured() -> None:
    batch = chest()
    marked = batch.copy()
    marked[:, 2:8, 2:20] = 1
    assert band_energies(marked)[0, :3] == pytest.approx(band_energies(batch)[0, :3], abs=0.01)


def test_blur_takes_the_finest_bands_and_leaves_the_coarsest() -> None:
    lost = (band_energies(chest()) - band_energies(blurred(chest(), 1.5)))[0]
    assert lost[FINEST] > 1
    assert lost[FINEST] > lost[1] > lost[2] > lost[COARSEST]
    assert lost[COARSEST] == pytest.approx(0, abs=0.02)


def test_size_of_the_picture_hardly_matters() -> None:
    small = Image.fromarray(chest()[0, ..., 0])
    large = np.asarray(small.resize((448, 448), Image.Resampling.BICUBIC))
    found = band_energies(np.clip(large, 0, 1)[np.newaxis, ..., np.newaxis])
    assert found[0, 1:] == pytest.approx(band_energies(chest())[0, 1:], abs=0.15)
    assert found[0, 2:] == pytest.approx(band_energies(chest())[0, 2:], abs=0.03)


def test_even_picture_has_the_least_energy_and_stays_finite() -> None:
    even = np.full((1, 224, 224, 1), 0.3, np.float32)
    assert band_energies(even) == pytest.approx(np.log(FAINTEST))
    for batch, donors in ((even, chest()), (chest(), even), (even, even)):
        rendered = transfer_rendering(batch, donors)
        assert np.isfinite(rendered).all()
        assert rendered.min() >= 0
        assert rendered.max() <= 1


def test_even_picture_gets_no_structure_from_its_donor() -> None:
    rendered = transfer_rendering(np.full((1, 224, 224, 1), 0.3, np.float32), chest())
    assert rendered.std() < 0.01


@pytest.mark.parametrize("side", [60, 224, 230])
def test_transfer_keeps_shape_type_and_range(side: int) -> None:
    batch = np.concatenate([chest(side), noise(1, side, 0.5)])
    rendered = transfer_rendering(batch, batch[::-1])
    assert rendered.shape == batch.shape
    assert rendered.dtype == np.float32
    assert rendered.min() >= 0
    assert rendered.max() <= 1


def test_each_image_has_a_donor_of_its_own() -> None:
    batch, donors = np.concatenate([chest(), noise(1)]), np.concatenate([noise(2), chest(seed=3)])
    together = transfer_rendering(batch, donors)
    for index in range(2):
        alone = transfer_rendering(batch[index : index + 1], donors[index : index + 1])
        assert together[index] == pytest.approx(alone[0], abs=1e-5)


@pytest.fixture
def soft() -> Tensor:
    """The chest of another machine: flatter and softer, of another child."""
    other = chest(seed=9)[:, :, ::-1]
    return (0.3 + 0.6 * blurred(other, 1)).astype(np.float32)


def test_transfer_brings_the_energies_of_the_donor(soft: Tensor) -> None:
    rendered = transfer_rendering(chest(), soft)
    before = np.abs(band_energies(chest()) - band_energies(soft))[0]
    after = np.abs(band_energies(rendered) - band_energies(soft))[0]
    assert before.min() > 0.25
    assert after[1:].max() < 0.1  # ten per cent of a standard deviation
    assert after[FINEST] < before[FINEST] / 4  # of the other bands something reaches into it


def test_transfer_brings_the_grey_levels_of_the_donor(soft: Tensor) -> None:
    rendered = transfer_rendering(chest(), soft)
    assert abs(chest().mean() - soft.mean()) > 0.05
    assert rendered.mean() == pytest.approx(soft.mean(), abs=0.03)


def test_transfer_leaves_what_is_seen_where_it_was(soft: Tensor) -> None:
    batch = chest(seed=4)
    batch[:, 100:124, 50:74] += 0.25  # an opacity in one lung, which the donor has not
    rendered = transfer_rendering(np.clip(batch, 0, 1), soft)
    assert correlation(rendered, batch) > 0.95
    assert np.corrcoef(edges(rendered).ravel(), edges(batch).ravel())[0, 1] > 0.9
    opacity = rendered[0, 100:124, 50:74].mean()
    mirrored = rendered[0, 100:124, 150:174].mean()
    assert opacity > mirrored + 0.08


def test_transfer_from_itself_changes_next_to_nothing() -> None:
    assert transfer_rendering(chest(), chest()) == pytest.approx(chest(), abs=0.01)


def test_noise_is_not_blown_up_to_structure() -> None:
    faint = np.float32(0.5) + np.float32(0.002) * (noise() - np.float32(0.5))
    rendered = transfer_rendering(faint, blurred(noise(1), 1))
    assert np.isfinite(rendered).all()
    assert rendered.std() < 0.5
