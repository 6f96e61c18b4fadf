"""The curve of a training: appended row by row, valid after a kill, and with columns that come later."""

from pathlib import Path

import pytest

from dtc.training.curve import CurveWriter, read_curve


def all_rows(row: object) -> bool:
    return True


def test_rows_are_appended_and_the_file_is_not_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    curve = CurveWriter(path, all_rows)
    assert path.read_text() == "step,split,loss\n"
    curve.append({"step": "1", "split": "train", "loss": "3", "lr": "0.1"})
    first = path.stat().st_ino
    for step in range(2, 50):
        curve.append({"step": str(step), "split": "train", "loss": "2", "lr": "0.1"})
    curve.append({"step": "49", "split": "validation", "loss": "2"})
    assert path.stat().st_ino == first, "a rewritten file is another file"
    assert path.read_text().splitlines()[-1] == "49,validation,2,"
    assert len(read_curve(path)) == 50


def test_a_new_column_is_added_to_all_rows(tmp_path: Path) -> None:
    path = tmp_path / "history.csv"
    curve = CurveWriter(path, all_rows)
    curve.append({"step": "1", "split": "train", "loss": "3"})
    curve.append({"step": "2", "split": "train", "loss": "2", "adversary_loss": "1"})
    curve.append({"step": "3", "split": "train", "loss": "1"})
    assert path.read_text() == "step,split,loss,adversary_loss\n1,train,3,\n2,train,2,1\n3,train,1,\n"


@pytest.mark.parametrize("torn", ["", "3", "3,train,0.1", "3,train,0.123"])
def test_rows_behind_the_checkpoint_and_a_torn_line_are_dropped(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "history.csv"
    path.write_text("step,split,loss\n1,train,3\n2,train,2\n3,validation,5\n" + torn)
    curve = CurveWriter(path, lambda row: int(row["step"]) <= 2)
    curve.append({"step": "3", "split": "train", "loss": "1"})
    assert path.read_text() == "step,split,loss\n1,train,3\n2,train,2\n3,train,1\n"


def test_no_file_has_no_rows(tmp_path: Path) -> None:
    assert read_curve(tmp_path / "history.csv") == []
