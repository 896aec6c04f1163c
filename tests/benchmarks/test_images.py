from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from benchmarks import images


def test_drawn_jpeg_is_a_grey_one_of_the_size_asked_for() -> None:
    data = images.draw(1700, 1437)
    picture = Image.open(io.BytesIO(data))
    assert (picture.format, picture.mode, picture.size) == ("JPEG", "L", (1700, 1437))
    assert 400_000 < len(data) < 1_000_000  # the original that it stands for has 646,168


def test_folder_is_filled_with_images_of_several_sizes(drawn: None, tmp_path: Path) -> None:
    target = tmp_path / "many"
    target.mkdir()
    images.fill(target, 30)
    files = sorted(target.iterdir())
    assert [file.name for file in files] == [f"{number:05}.jpeg" for number in range(30)]
    assert {Image.open(io.BytesIO(file.read_bytes())).size for file in files} == {
        (40, 50),
        (60, 40),
    }
    assert images.source() == "drawn"
