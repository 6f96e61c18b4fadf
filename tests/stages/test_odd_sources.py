"""`dtc corpus check` and `dtc verify` agree on odd sources: links, hidden folders, zips, prepared features, folders that dtc writes; and on split lists."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from dtc.provenance import md5_of
from pipeline.manifest import read_manifest
from pipeline.shards import read_index
from stages import paths
from tests.conftest import Project, write_corpus
from tests.stages.agreement import IDS, agreed, ids_kept, verdict


@pytest.mark.parametrize("place", ["../elsewhere", "audio", ".store/clips", "{root}/elsewhere"])
def test_links_to_folders_are_followed(project: Project, place: str) -> None:
    place = place.format(root=project.root)
    (project.corpus / place).parent.mkdir(exist_ok=True)
    shutil.move(project.corpus / "wavs", project.corpus / place)
    (project.corpus / "wavs").symlink_to(place)
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


@pytest.mark.parametrize("name", ["a:b", "my recordings ", "50%25 off#1?", "x\\y"])
def test_a_folder_with_an_odd_name(project: Project, name: str) -> None:
    project.corpus.rename(project.root / name)
    assert agreed(project, Path(name))[0] == 0
    assert ids_kept() == IDS


@pytest.mark.parametrize(
    "source",
    ["~/my recs", "~/my recs/", "file://{home}/my%20recs", "file:{home}/my recs/", "FILE://localhost{home}/my recs"],
)
def test_the_ways_to_name_a_folder(project: Project, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.setenv("HOME", str(project.root / "home"))
    shutil.copytree(project.corpus, project.root / "home/my recs")
    project.write_params({"corpus.source": source.format(home=project.root / "home")})
    assert verdict("download")[0] == verdict("verify")[0] == 0
    assert ids_kept() == IDS
    checked = verdict("corpus", "check", "home/my recs")
    assert checked[1][0] == "home/my recs, checked by params.yaml"


def test_files_of_a_system_are_no_clips(project: Project) -> None:
    names = ("__MACOSX/wavs/a.wav", "@eaDir/clip-001.wav", "$RECYCLE.BIN/x.wav", "System Volume Information/x.wav")
    for name in (*names, "wavs/Thumbs.db", "wavs/desktop.ini", ".DS_Store", "wavs/._clip-000.wav", "metadata.csv~"):
        (project.corpus / name).parent.mkdir(parents=True, exist_ok=True)
        (project.corpus / name).write_bytes(b"of a system")
    assert agreed(project)[0] == 0
    assert ids_kept() == IDS


def test_a_clip_that_a_row_lacks_is_counted(project: Project) -> None:
    (project.corpus / "wavs/clip-003.wav").unlink()
    assert agreed(project, Path("recordings"))[2] == "recordings: 1 fault, 11 of 12 clips without faults: not ready"
    (project.corpus / "wavs/clip-004.wav").rename(project.corpus / "wavs/Clip-004.wav")
    assert agreed(project, Path("recordings"))[2] == "recordings: 2 faults, 10 of 12 clips without faults: not ready"


def test_an_archive_of_a_hidden_folder_is_named_as_what_it_is(project: Project) -> None:
    project.corpus.rename(project.root / ".me")
    subprocess.run(["tar", "-cf", "packed.tar", ".me"], cwd=project.root, check=True)
    code, _, error = agreed(project, project.root / "packed.tar")
    assert code == 2
    assert error == (
        "packed.tar: clips and listings in hidden folders alone, such as .me/metadata.csv, "
        "expected names without a leading dot; rename the folder and pack it again"
    )
    (project.root / ".me").rename(project.root / "me")
    subprocess.run(["tar", "-cf", "packed.tar", "me"], cwd=project.root, check=True)
    assert agreed(project, project.root / "packed.tar")[0] == 0


def test_a_zip_of_a_corpus_is_what_its_folder_is(project: Project) -> None:
    (project.corpus / "wavs/clip-003.wav").rename(project.corpus / "wavs/café00.wav")
    metadata = project.corpus / "metadata.csv"
    metadata.write_text(metadata.read_text().replace("clip-003", "café00"), encoding="utf-8")
    subprocess.run(["zip", "-qr", "packed.zip", "recordings"], cwd=project.root, check=True)
    assert agreed(project)[0] == 0
    of_folder = {row.id: (row.md5, row.member) for row in read_manifest(paths.MANIFEST)}
    assert agreed(project, project.root / "packed.zip")[0] == 0
    assert {row.id: (row.md5, row.member) for row in read_manifest(paths.MANIFEST)} == of_folder


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
    "source", [".", "data/archive", "data/archive/mine", "data", "models", "results/x", "{root}", "file://{root}"]
)
def test_a_source_that_dtc_writes_to_is_refused(project: Project, source: str) -> None:
    """Nothing there is touched."""
    for folder in ("data/archive/mine", "models", "results/x"):
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
def test_listed_ids_that_the_corpus_lacks_are_reported_once(project: Project, test: str, line: str) -> None:
    listed_split(project, validation="clip-001", test=test)
    for command in ("download", "verify"):
        project.run(command)
    assert project.run("preprocess").splitlines().count(f"preprocess: {line}") == 1
    assert project.run("corpus", "check", "recordings").splitlines().count(f"• {line}") == 1


def test_a_changed_list_is_no_part_of_what_is_complete_already(project: Project) -> None:
    listed_split(project, validation="clip-001", test="clip-002")
    for command in ("download", "verify", "preprocess"):
        project.run(command)
    assert "complete already" in project.run("preprocess")
    (project.root / "splits/mine/test.txt").write_text("clip-002\nclip-003\n")
    assert "12 clips computed" in project.run("preprocess")
    assert read_index(paths.FEATURES).clips_of("test") == 2


def test_lists_of_another_corpus_are_refused(project: Project) -> None:
    listed_split(project, validation="LJ001-0001", test="LJ001-0002")
    for command in ("download", "verify"):
        project.run(command)
    line = (
        "splits/mine: none of its 2 ids is in the corpus (such as LJ001-0001), expected lists of this corpus; "
        "list ids such as clip-000, or replace the section split by "
        "`split: {method: ratio, validation_share: 0.05, test_share: 0.12, seed: 1}`, which needs no lists"
    )
    assert project.run("preprocess", code=2) == line
    assert f"• by these settings `dtc preprocess` will refuse them: {line}" in project.run(
        "corpus", "check", "recordings"
    )
