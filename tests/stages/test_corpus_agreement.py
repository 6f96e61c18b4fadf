"""`dtc corpus check` of a folder and `dtc verify` of the same folder, downloaded, say the same of odd corpora."""

import json
import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from dtc.provenance import md5_of
from pipeline.manifest import read_manifest
from stages import paths
from stages.cli import app
from tests.conftest import Project, sound_bytes, write_corpus

IDS = [f"clip-{number:03d}" for number in range(12)]


def verdict(*arguments: str) -> tuple[int, list[str], str]:
    """Exit code of a command, its lines on standard output, and its line on standard error without `dtc: `."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code in (0, 2), f"{result.output}{result.exception!r}"
    assert result.stderr.count("\n") == (result.exit_code == 2), "one line where it fails"
    return result.exit_code, result.stdout.splitlines(), result.stderr.removeprefix("dtc: ").strip()


def faults(lines: list[str]) -> list[str]:
    """What stands in a list of faults, without the places, which differ between a folder and its archive."""
    return [line.partition(": ")[2] for line in lines if line.startswith("  ") and ": " in line]


def agreed(project: Project, source: Path | None = None) -> tuple[int, list[str], str]:
    """What check says of a source, after making sure that download and verify come to the same verdict."""
    source = source or project.corpus
    project.write_params({"corpus.source": str(source)})
    checked = verdict("corpus", "check", str(source))
    downloaded = verdict("download")
    verified = verdict("verify") if downloaded[0] == 0 else downloaded
    assert checked[0] == verified[0]
    if checked[0] == 0:
        assert faults(checked[1]) == []
    elif ": not ready" not in checked[2]:
        assert checked[2].partition(": ")[2] == verified[2].partition(": ")[2]
    else:
        one = verified[2].partition(": ")[2]
        assert faults(checked[1]) == (faults(verified[1]) or [one])
    return checked


def ids_kept() -> list[str]:
    return [row.id for row in read_manifest(paths.MANIFEST)]


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


def test_links_to_folders_are_followed(project: Project) -> None:
    shutil.move(project.corpus / "wavs", project.root / "elsewhere")
    (project.corpus / "wavs").symlink_to("../elsewhere")
    (project.corpus / "circle").symlink_to(".")
    assert agreed(project)[0] == 0
    assert ids_kept() == IDS


def test_a_corpus_in_a_hidden_folder(project: Project) -> None:
    hidden = project.root / ".voices/.me"
    hidden.parent.mkdir()
    shutil.move(project.corpus, hidden)
    assert agreed(project, hidden)[0] == 0
    assert ids_kept() == IDS
    (hidden / "wavs/clip-003.wav").unlink()
    code, lines, _ = agreed(project, hidden)
    assert code == 2
    assert any(line.startswith(f"  {hidden}/metadata.csv:4: no clip wavs/clip-003.*") for line in lines)


def test_an_archive_of_a_hidden_folder_is_named_as_what_it_is(project: Project) -> None:
    project.corpus.rename(project.root / ".me")
    subprocess.run(["tar", "-cf", "packed.tar", ".me"], cwd=project.root, check=True)
    code, _, error = agreed(project, project.root / "packed.tar")
    assert code == 2
    assert error == (
        "packed.tar: clips and listings in hidden folders alone, such as .me/metadata.csv, "
        "expected names without a leading dot; rename the folder and pack it again"
    )


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
def test_clips_in_another_folder_are_named_once(project: Project, place: str, named: str, remedy: str) -> None:
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


def test_ids_with_a_suffix_are_told_to_leave_it_out(project: Project) -> None:
    metadata = project.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("|CALL", ".wav|CALL"))
    code, lines, _ = agreed(project)
    assert code == 2
    assert [line for line in lines if "no row" in line] == [], "the clips belong to the rows all the same"
    assert [line.rpartition("; ")[2] for line in lines if line.startswith("  ") and "id 'clip-" in line] == ["leave out .wav"] * 5  # fmt: skip
    metadata.write_text(metadata.read_text().replace(".wav|CALL", "|CALL"))
    assert agreed(project)[0] == 0


def test_spaces_around_ids_mean_nothing(project: Project) -> None:
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
    line = {"metadata.csv": "{}|{}", "all.txt": "wavs/{}.wav|{}", "all.jsonl": '{{"path": "{}.wav", "text": "{}"}}'}[listing]  # fmt: skip
    (project.corpus / listing).write_text("".join(line.format(*row) + "\n" for row in rows), encoding="utf-8")
    assert agreed(project)[0] == 0
    assert sorted(ids_kept()) == sorted(["café", *IDS[:3], *IDS[4:]])


def test_a_zip_of_a_corpus_is_what_its_folder_is(project: Project) -> None:
    (project.corpus / "wavs/clip-003.wav").rename(project.corpus / "wavs/café00.wav")
    metadata = project.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("clip-003", "café00"), encoding="utf-8")
    subprocess.run(["zip", "-qr", "packed.zip", "recordings"], cwd=project.root, check=True)
    assert agreed(project)[0] == 0
    of_folder = {row.id: (row.md5, row.member) for row in read_manifest(paths.MANIFEST)}
    assert agreed(project, project.root / "packed.zip")[0] == 0
    assert {row.id: (row.md5, row.member) for row in read_manifest(paths.MANIFEST)} == of_folder


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
    assert faults(lines) == ["the HTML entity &amp;, expected the character; write the character itself"]


def test_prepared_features_are_checked_as_they_are_verified(project: Project) -> None:
    for command in ("download", "verify", "preprocess"):
        project.run(command)
    project.run("convert", "--format", "numpy", "--out", "converted")
    checksums = {path.name: md5_of(path) for path in Path("converted").glob("*.npz")}
    edits = {"corpus.format": "tensor_mel", "corpus.source": "converted", "corpus.checksums": checksums}
    project.write_params(edits)
    assert verdict("download")[0] == 0
    assert (verdict("verify")[2], verdict("corpus", "check", "converted")[2]) == ("", "")


@pytest.mark.parametrize(
    "source", [".", "data/raw", "data/raw/mine", "data", "models", "results/x", "{root}", "file://{root}"]
)
def test_a_source_that_dtc_writes_to_is_refused(project: Project, source: str) -> None:
    """Nothing there is touched."""
    for folder in ("data/raw/mine", "models", "results/x"):
        write_corpus(project.root / folder, clips=1)
    before = project.contents(".")
    source = source.format(root=project.root)
    project.write_params({"corpus.source": source})
    before["params.yaml"] = (project.root / "params.yaml").read_bytes()
    commands = [["download"]] if "file:" in source else [["download"], ["corpus", "check", source]]
    for command in commands:
        code, _, error = verdict(*command)
        assert code == 2
        assert error.startswith(f"corpus.source: {source} ")
        assert error.endswith(
            ", expected a folder or an archive apart from what dtc writes; move the recordings elsewhere"
        )
    assert project.contents(".") == before


def test_a_source_beside_what_dtc_writes_is_accepted(project: Project) -> None:
    (project.root / "data").mkdir()
    shutil.move(project.corpus, project.root / "data/recordings")
    assert agreed(project, Path("data/recordings"))[0] == 0


def test_hard_links_in_a_tar(project: Project) -> None:
    os.link(project.corpus / "wavs/clip-000.wav", project.corpus / "wavs/again.flac")
    subprocess.run(["tar", "-cf", "packed.tar", "recordings"], cwd=project.root, check=True)
    code, _, error = agreed(project, project.root / "packed.tar")
    assert code == 2
    assert error.endswith(": a hard link, expected regular files only; pack it again with --hard-dereference")


def listed_split(project: Project, **lists: str) -> None:
    folder = project.root / "splits/mine"
    folder.mkdir(parents=True)
    for name, ids in lists.items():
        (folder / f"{name}.txt").write_text("".join(f"{clip}\n" for clip in ids.split()))
    split = {"method": "lists", "lists": "mine"}
    tree = yaml.safe_load((project.root / "params.yaml").read_text())
    (project.root / "params.yaml").write_text(yaml.safe_dump(tree | {"split": split}))


@pytest.mark.parametrize(
    ("test", "line"),
    [
        ("clip-002 clip-1", "1 listed id is not in the corpus, such as clip-1 in splits/mine"),
        ("clip-002 clip-1 clip-0", "2 listed ids are not in the corpus, such as clip-0 in splits/mine"),
    ],
)
def test_listed_ids_that_the_corpus_lacks_are_said_once(project: Project, test: str, line: str) -> None:
    listed_split(project, validation="clip-001", test=test)
    for command in ("download", "verify"):
        project.run(command)
    assert project.run("preprocess").splitlines().count(f"preprocess: {line}") == 1
    assert project.run("corpus", "check", "recordings").splitlines().count(f"• {line}") == 1


def test_lists_of_another_corpus_are_refused(project: Project) -> None:
    listed_split(project, validation="LJ001-0001", test="LJ001-0002")
    for command in ("download", "verify"):
        project.run(command)
    line = (
        "splits/mine: none of its 2 ids is in the corpus (such as LJ001-0001), expected lists of this corpus; "
        "list ids such as clip-000, or set split.method to ratio, which needs no lists"
    )
    assert project.run("preprocess", code=2) == line
    assert f"• by these settings `dtc preprocess` will refuse them: {line}" in project.run(
        "corpus", "check", "recordings"
    )
