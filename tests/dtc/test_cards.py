"""Which utterances the page has sounds of."""

from pathlib import Path

import pytest
import torch

from dtc.audio import wav_bytes
from dtc.report import cards
from dtc.report.cards import MAX_CARDS, card_sections
from dtc.report.content import Rendition, ReportClip
from dtc.report.page import render_report
from tests.dtc.test_page import SAMPLING_RATE, SPOKEN, Elements, clip, report, sounds

__all__ = ["sounds"]  # the folder of the sounds, in which the tests run


def ids(*clips: ReportClip) -> list[list[str]]:
    """Return the IDs of the clips that have a card, in the three sections."""
    return [[card.clip.id for card in section.cards] for section in card_sections(report(*clips), {})]


def test_failures_come_first_and_do_not_crowd_out_the_ordinary() -> None:
    endless = clip(50, ended=False, status="ran into the limit")
    clips = (
        [clip(n) for n in range(20)]
        + [clip(n, recognised="two") for n in range(20, 40)]
        + [clip(40, recognised=""), endless]
    )
    assert ids(*clips) == [
        ["clip-050", "clip-040", *(f"clip-{n:03d}" for n in range(20, 26))],
        ["clip-000", "clip-001", "clip-002", "clip-003"],
        [],
    ]
    assert cards.worst_first(clips)[-1].id == "clip-019"
    text = " ".join(Elements(render_report(report(*clips), {})).text.split())
    assert "Failures 8 of 22 shown" in text
    assert "Other utterances 4 of 20 shown" in text


def test_clips_without_a_card_are_still_in_the_table() -> None:
    short = [clip(n) for n in range(20)]
    elements = Elements(render_report(report(*short), {}))
    assert len(elements.all("audio")) == 3 * MAX_CARDS
    assert all(one.id in elements.text for one in short)


def test_a_clip_that_is_too_long_leaves_room_for_shorter_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    long = Path("long.wav")
    long.write_bytes(wav_bytes(torch.randn(20 * SAMPLING_RATE) / 8, SAMPLING_RATE))
    monkeypatch.setattr(cards, "MAX_SOUND_CHARACTERS", 60_000)
    endless = clip(9, ended=False, synthesis=Rendition(long, "call two"))
    assert ids(endless, clip(1), clip(2)) == [[], ["clip-001", "clip-002"], []]


def test_other_texts_have_players_and_no_part_in_the_table() -> None:
    wrong = ReportClip(id="text 1", raw_text="Two?", spoken_text="two", synthesis=Rendition(SPOKEN, "too"))
    right = ReportClip(id="text 2", raw_text="Three.", spoken_text="three", synthesis=Rendition(SPOKEN, "three"))
    plain, more = (Elements(render_report(report(clip(1), other_texts=texts), {})) for texts in ((), (right, wrong)))
    assert len(more.all("audio")) == len(plain.all("audio")) + 2
    assert "Texts that the corpus does not have 2 of 2 shown" in more.text
    assert "Texts that the corpus does not have" not in plain.text
    assert more.text.index("Two?") < more.text.index("Three.")
    assert len(more.all("tr")) == len(plain.all("tr"))
