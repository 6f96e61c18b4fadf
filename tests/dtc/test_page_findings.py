"""The sections of the page on what is not the evaluation's: machine judge, duel, stress list and changes."""

from dataclasses import replace
from pathlib import Path

import pytest

from dtc.evaluation.intervals import Interval
from dtc.report.changes import Changed, Changes, Compared
from dtc.report.content import ComparisonRow, Report
from dtc.report.findings import Contest, Contestant, Duel, Findings, Ruling, Stress, Surest
from dtc.report.page import render_report
from tests.dtc.test_page import Elements

HOSTILE = "<script>alert('x')</script>\"&"
REPORT = Report(
    title="numbers",
    summary="One voice.",
    sampling_rate=8000,
    hop_length=256,
    copies=[ComparisonRow("copy synthesis", {"distill_mos": 3.2, "frechet_envelope_db": 0.5})],
    metrics={
        "distill_mos": 3.0,
        "frechet_envelope_db": 0.7,
        "log_f0_rmse": 0.1,
        "word_error_rate": 0.0431,
        "word_error_rate_low": 0.021,
        "word_error_rate_high": 0.067,
        "words": 7,
    },
    comparison=[
        ComparisonRow(
            "synthesis", {"word_error_rate": 0.0431, "word_error_rate_low": 0.02, "word_error_rate_high": 0.07}
        )
    ],
)
KNOWN = {"texts": 1, "words": 8, "new_words": 0, "word_errors": 1, "word_error_rate": 0.125}
SHARE = Interval(0.61, 0.49, 0.72)


def stress(text: str) -> Stress:
    names = ("texts", "refused", "not_ended", "texts_with_word_errors", "words", "word_errors", "skipped", "repeated")
    figures = dict.fromkeys((*names, "run_on"), 3) | dict.fromkeys(
        ("word_error_rate", "recording_word_error_rate"), 0.25
    )
    interval = {"word_error_rate_low": 0.1, "word_error_rate_high": 0.4}
    row = {"text": text, "kind": text, "status": "cut_off", "heard": text, "word_errors": "3"}
    return Stress(figures | interval, {text: figures | {"new_words": 2}, "known": KNOWN, "older": figures}, [row])


def findings(folder: Path, text: str = "voice") -> Findings:
    picture = folder / "vocoder-1.png"
    picture.write_bytes(b"\x89PNG")
    ruling = Ruling(text, Interval(0.93, 0.88, 0.97), Interval(0.12, 0.05, 0.2), SHARE, 0.002)
    surest = [Surest(text, "copy_synthesis", picture)]
    contest = Contest(text, text, "recording", "copy_synthesis", 40, True, (3000, 7000), [ruling], surest)
    control = replace(contest, blames="", told_apart=False, telling_hz=None, surest=[])
    contestant = Contestant(text, SHARE, Interval(0.73, 0.57, 0.93), None, 61, text, 40, 1)
    changes = Changes(
        since=text,
        compared=[Compared(text, "-0.475", "-0.6 to -0.3", 40, "better")],
        figures=[Changed(text, "1", "2")],
        settings=[Changed(text, text, text)],
        code=[text],
        outputs=[text],
        n_equal=3,
    )
    few = replace(contest, pairs=2, told_apart=False, surest=[])
    return Findings(
        [contest, control, few], [f"mend {text}"], Duel(212, 9, 40, SHARE, SHARE, [contestant]), stress(text), changes
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Elements:
    return Elements(render_report(REPORT, {}, findings(tmp_path_factory.mktemp("judge"))))


def test_figures_have_their_intervals(page: Elements) -> None:
    text = " ".join(page.text.split())
    for shown in (
        "4.3% 2.1 to 6.7",
        "4.3 2.0 to 7.0",
        "0.93 0.88 to 0.97",
        "12 % 5 to 20",
        "61 % 49 to 72",
        "73% 57 to 93",
    ):
        assert shown in text, shown


def test_copies_are_beside_the_measures(page: Elements) -> None:
    text = " ".join(page.text.split())
    assert "opinion score, without the recording; copies: 3.20" in text
    assert "mel cepstra of all frames0.70 dB–0.50" in text
    assert "0.058 is a semitone0.100 nepers––" in text


def test_the_contests_say_what_was_told_apart(page: Elements) -> None:
    text = " ".join(page.text.split())
    assert "told apart p = 0.002, mostly by 3000–7000 Hz" in text
    assert "not told apart" in text
    assert "0.88 to 0.97 too few texts to tell; 0.5 is guessing" in text
    assert "12 % 5 to 20 61 % 49 to 72" in text, "equal error rate and pairs right"
    assert "Mend voice." in text
    assert [image["src"] for image in page.all("img")] == ["data:image/png;base64,iVBORw=="]


def test_the_changes_come_first_and_name_what_differs(page: Elements) -> None:
    text = " ".join(page.text.split())
    assert text.index("Changes since voice") < text.index("Word errors compared The same")
    assert "By dvc.lock, 3 of 4 outputs are equal." in text
    assert "-0.475 -0.6 to -0.340better" in text, "the cells of a row"
    without = Elements(render_report(REPORT, {}, Findings(changes=Changes("HEAD", n_equal=22)))).text
    assert "Nothing: settings, code and all 22 outputs" in " ".join(without.split())


def test_the_stress_list_has_its_kinds_and_its_worst_texts(page: Elements) -> None:
    text = " ".join(page.text.split())
    assert "3 of 3 have a word error; 25.0 % of all words are wrong (10.0 to 40.0)" in text
    assert "In the kinds without new words, 12.5 % of the words are wrong." in text
    assert "known12 %8011–––––" in text, "the cells of a kind"
    assert "voicevoice; cut offvoice3" in text, "the cells of a row"


def test_what_is_not_there_has_no_section(page: Elements) -> None:
    sections = {section["id"] for section in page.all("section")}
    bare = {section["id"] for section in Elements(render_report(REPORT, {})).all("section")}
    assert sections - bare == {"changes", "judge", "duel", "stress"}


def test_every_text_of_them_is_escaped(tmp_path: Path) -> None:
    elements = Elements(render_report(REPORT, {}, findings(tmp_path, HOSTILE)))
    assert not elements.all("script")
    assert elements.text.count("<script>") >= 10
