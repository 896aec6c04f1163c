from __future__ import annotations

from pathlib import Path

import pytest

from xray_classifier.calibration.out_of_fold import read_out_of_fold
from xray_classifier.errors import DatasetError

HEAD = "file,patient,label,fold,probability\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (HEAD + "a,p,ill,0,.5\n", "is no table of out-of-fold answers"),
        (HEAD + "a,p,normal,0,much\n", "is no table of out-of-fold answers"),
        ("file,label\na,normal\n", "is no table of out-of-fold answers"),
        (HEAD + "a,p,normal,0,.5\n", "holds one class only"),
        (HEAD[:-1] + ",rendering\na,p,normal,0,.5,\n", "is no table of out-of-fold answers"),
        (HEAD, "holds one class only"),
    ],
)
def test_other_tables_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "answers.csv"
    path.write_text(content)
    with pytest.raises(DatasetError, match=message):
        read_out_of_fold(path)


def test_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="answers.csv cannot be read: No such file"):
        read_out_of_fold(tmp_path / "answers.csv")


def test_second_answer_and_etiology_are_read(tmp_path: Path) -> None:
    path = tmp_path / "answers.csv"
    rows = ["IM-0115-0001.jpeg,a,normal,0,.1,.4", "person1_bacteria_2.jpeg,b,pneumonia,1,.9,.8"]
    path.write_text("\n".join([HEAD[:-1] + ",bacterial", *rows]) + "\n")
    found = read_out_of_fold(path)
    assert found.etiologies == ("", "bacteria")
    assert found.bacterial is not None
    assert found.bacterial.tolist() == [0.4, 0.8]
    path.write_text(HEAD + "\n".join(row.rsplit(",", 1)[0] for row in rows) + "\n")
    assert read_out_of_fold(path).bacterial is None
