"""A report is saved and read again."""

from pathlib import Path

import pytest

from dtc.errors import InputError
from dtc.report import page
from dtc.report.content import read_report, save_report
from tests.dtc.test_page import clip, pictures, render, report, sounds

__all__ = ["sounds"]  # the folder of the sounds, in which the tests run


def test_a_saved_report_is_read_as_it_was_and_equal_reports_give_equal_files(tmp_path: Path) -> None:
    clips = [clip(0), clip(1, recognised=None, recording=None)]
    whole = report(*clips, metrics={"word_error_rate": float("nan")}, curves={"vocoder": Path("vocoder.csv")})
    for folder in ("first", "second"):
        save_report(whole, pictures(*clips), tmp_path / folder)
    files = [sorted((tmp_path / folder).iterdir()) for folder in ("first", "second")]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    found, arrays = read_report(tmp_path / "first")
    assert isinstance(found.clips[0].synthesis.sound, Path)
    assert page.render_report(found, arrays) == render(whole)


def test_a_report_that_cannot_be_read_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no evaluation, expected report.json .*; run `dtc evaluate`"):
        read_report(tmp_path)
    save_report(report(clip(0)), pictures(clip(0)), tmp_path)
    saved = tmp_path / "report.json"
    saved.write_text(saved.read_text().replace('"hop_length"', '"hop"'))
    with pytest.raises(InputError, match=r"report.json: hop_length: .* required, .*; run `dtc evaluate`"):
        read_report(tmp_path)
    for name in ("report.json", "figures.safetensors"):
        (tmp_path / name).write_bytes(b"{")
        with pytest.raises(InputError, match="cannot be read"):
            read_report(tmp_path)
        save_report(report(clip(0)), pictures(clip(0)), tmp_path)
