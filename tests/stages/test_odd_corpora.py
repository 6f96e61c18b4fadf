"""Test that `dtc corpus check` and `dtc verify` agree on odd listings, names and folders of clips."""

import json
import shutil
import unicodedata

import pytest

from pipeline.manifest import read_manifest
from stages import paths
from tests.conftest import Project, sound_bytes
from tests.stages.agreement import IDS, agreed, faults, ids_kept, verdict


def test_a_file_whose_name_has_a_control_character_is_ignored(project: Project) -> None:
    """macOS puts `Icon` with a carriage return into a folder with an icon of its own."""
    (project.corpus / "Icon\r").write_bytes(b"")
    (project.corpus / "wavs/Icon\r").write_bytes(b"")
    assert agreed(project)[0] == 0
    assert ids_kept() == IDS


def test_a_clip_whose_name_has_a_control_character_is_named(project: Project) -> None:
    (project.corpus / "wavs/a\tb.wav").write_bytes(sound_bytes())
    code, _, error = agreed(project)
    assert code == 2
    assert error.endswith("control characters, or bytes that are not UTF-8, in the name; rename it")


@pytest.mark.parametrize(
    ("place", "named", "remedy"),
    [
        ("wav", "in wav/", "rename the folder to wavs"),
        ("Wavs", "in Wavs/", "rename the folder to wavs"),
        ("audio", "in audio/", "rename the folder to wavs"),
        (".", "beside metadata.csv", "move them to wavs/"),
        ("wavs/part1", "in wavs/part1/", "move them to wavs/"),
    ],
)
def test_clips_in_another_folder_are_reported_once(project: Project, place: str, named: str, remedy: str) -> None:
    shutil.move(project.corpus / "wavs", project.root / "clips")
    (project.corpus / place).mkdir(parents=True, exist_ok=True)
    for clip in (project.root / "clips").iterdir():
        shutil.move(clip, project.corpus / place / clip.name)
    code, lines, error = agreed(project)
    assert code == 2
    assert error == f"recordings: the clips lie {named}, expected wavs/; {remedy}"
    assert lines == []
    # The remedy works.
    (project.corpus / "wavs").mkdir(exist_ok=True)
    for clip in (project.corpus / place).glob("*.wav"):
        shutil.move(clip, project.corpus / "wavs" / clip.name)
    assert agreed(project)[0] == 0


def test_the_remedy_for_an_id_with_a_suffix_is_to_leave_it_out(project: Project) -> None:
    metadata = project.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("|CALL", ".wav|CALL"))
    code, lines, _ = agreed(project)
    assert code == 2
    assert [line for line in lines if "no row" in line] == [], "the clips belong to the rows all the same"
    assert [line.rpartition("; ")[2] for line in lines if line.startswith("  ") and "id 'clip-" in line] == [
        "leave out .wav"
    ] * 5
    metadata.write_text(metadata.read_text().replace(".wav|CALL", "|CALL"))
    assert agreed(project)[0] == 0


def test_spaces_around_ids_are_removed(project: Project) -> None:
    metadata = project.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("|", " | "))
    assert agreed(project)[0] == 0
    assert ids_kept() == IDS


@pytest.mark.parametrize("form", ["NFC", "NFD"])
@pytest.mark.parametrize("listing", ["metadata.csv", "all.txt", "all.jsonl"])
def test_composed_and_decomposed_names_are_the_same(project: Project, form: str, listing: str) -> None:
    """macOS decomposes the names of files; an editor composes what is typed."""
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    (project.corpus / "wavs/clip-003.wav").rename(project.corpus / f"wavs/{unicodedata.normalize(other, 'café')}.wav")
    rows = [(unicodedata.normalize(form, "café") if clip == "clip-003" else clip, "two words") for clip in IDS]
    (project.corpus / "metadata.csv").unlink()
    line = {"metadata.csv": "{}|{}", "all.txt": "wavs/{}.wav|{}", "all.jsonl": '{{"path": "{}.wav", "text": "{}"}}'}[
        listing
    ]
    (project.corpus / listing).write_text("".join(line.format(*row) + "\n" for row in rows), encoding="utf-8")
    assert agreed(project)[0] == 0
    assert sorted(ids_kept()) == sorted(["café", *IDS[:3], *IDS[4:]])


@pytest.mark.parametrize("copy", ["original", "wavs-old", "backup/wavs", "zzz"])
def test_copies_of_the_clips_are_left_out(project: Project, copy: str) -> None:
    """And not the clips themselves, whatever order the two come in."""
    shutil.copytree(project.corpus / "wavs", project.corpus / copy)
    project.write_params({"verify.faulty_clips": "skip"})
    verdict("download")
    code, lines, error = verdict("verify")
    assert code == 0, error
    assert lines[-1].startswith("verify: 12 clips in data/manifest.jsonl; 12 left out")
    assert {row.member for row in read_manifest(paths.MANIFEST)} == {f"recordings/wavs/{clip}.wav" for clip in IDS}


def test_copies_beside_a_filelist_of_another_machine_are_left_out(project: Project) -> None:
    (project.corpus / "metadata.csv").unlink()
    (project.corpus / "all.txt").write_text("".join(f"/data/me/wavs/{clip}.wav|call two\n" for clip in IDS))
    test_copies_of_the_clips_are_left_out(project, "original")


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"duration": 0.1}, "duration 0.1 s of 0.25 s: a part of a file"),
        ({"duration": 0.1, "offset": 0}, "duration 0.1 s of 0.25 s: a part of a file"),
        ({"duration": 0.1, "offset": 0.1}, "offset 0.1: a part of a file"),
        ({"duration": 0.25, "offset": 0.0}, None),
        ({"duration": 0.2}, None),  # rounded
        ({"duration": 1, "offset": None}, None),  # of a file before it was cut to its speech
    ],
)
def test_a_part_of_a_file_is_named(project: Project, entry: dict[str, object], found: str | None) -> None:
    (project.corpus / "metadata.csv").unlink()
    rows = [{"audio_filepath": f"wavs/{clip}.wav", "text": "two words"} for clip in IDS]
    rows[0] |= entry
    (project.corpus / "all.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, lines, _ = agreed(project)
    assert code == (2 if found else 0)
    assert [line for line in faults(lines) if found and line.startswith(f"{found}, expected whole files; cut the")] == (
        faults(lines)
    )


def test_an_html_entity_in_a_text_is_named(project: Project) -> None:
    metadata = project.corpus / "metadata.csv"
    rows = "".join(f"{clip}|call you\n" for clip in IDS[1:])
    metadata.write_text(f"clip-000|you &amp; me; AT&T; R&D\n{rows}")
    code, lines, _ = agreed(project)
    assert code == 2
    assert faults(lines) == ["the HTML entity &amp;, expected the characters; write the character itself"]
