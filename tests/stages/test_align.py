"""`dtc align`, and the vocoder that learns from what it makes."""

import csv
import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from dtc.acoustic.base import load_acoustic
from dtc.batch import collate
from dtc.model_folder import read_model
from dtc.provenance import md5_of
from pipeline.batching import Batching
from pipeline.loader import InTurn, ShardLoader
from pipeline.remote import open_features
from pipeline.shard_reader import stored_clips
from pipeline.shards import read_index
from pipeline.split import SPLITS
from stages import paths
from stages.align import Predictor
from tests.conftest import Project, default_params
from tests.stages.conftest import prepare


@pytest.fixture
def trained(voice: Path, project: Project) -> Project:
    """The voice's features and models, and params that want predicted mels."""
    for folder in ("data", "models"):
        shutil.copytree(voice / folder, folder)
    paths.DOWNLOADED.parent.mkdir()
    shutil.copy(voice / paths.DOWNLOADED, paths.DOWNLOADED)  # what may be replaced in data/archive
    project.write_params({"vocoder.train_on": "gta"})
    return project


def test_off_by_default_it_makes_nothing_and_needs_no_model(project: Project) -> None:
    assert default_params()["vocoder"]["train_on"] == "recorded"
    assert project.run("align") == "align: nothing to do, as vocoder.train_on is recorded\n"
    assert sorted(map(str, Path("data").rglob("[!.]*.*"))) == ["data/train_on/gta/none.txt"]
    assert Path("data/train_on/both").is_file()


def test_without_features_it_makes_nothing(project: Project) -> None:
    project.write_params({"vocoder.train_on": "gta"})
    line = project.run("align", code=2)
    assert "data/features/index.json: no such file" in line
    assert not Path("data/train_on").exists()


def test_the_same_clips_and_waveforms_with_predicted_mels(trained: Project) -> None:
    printed = trained.run("align", "--device", "cpu")
    features, aligned = read_index(paths.FEATURES), read_index(paths.GTA)
    assert "align: 12 mels predicted in" in printed
    assert aligned.fingerprint in printed
    assert aligned.predicted is not None
    assert aligned.predicted.features == features.fingerprint != aligned.fingerprint
    assert aligned.predicted.acoustic == read_model(paths.ACOUSTIC, "acoustic")[0].fingerprint
    assert [(shard.file, shard.clips, shard.frames) for shard in aligned.shards] == [
        (shard.file, shard.clips, shard.frames) for shard in features.shards
    ]
    mels = []
    for split in SPLITS:
        recorded, predicted = (
            list(stored_clips(open_features(folder), split)) for folder in (paths.FEATURES, paths.GTA)
        )
        assert [(clip.id, clip.text) for clip in recorded] == [(clip.id, clip.text) for clip in predicted]
        for ours, theirs in zip(predicted, recorded, strict=True):
            np.testing.assert_array_equal(ours.wave, theirs.wave)
            assert ours.mel.shape == theirs.mel.shape, "frames × hop = samples, as of the recording"
            assert not np.allclose(ours.mel, theirs.mel, atol=0.1)
        mels += [clip.mel for clip in predicted] if split == "train" else []
    np.testing.assert_allclose(aligned.mel_mean, np.concatenate(mels, axis=1).mean(axis=1), atol=1e-5)


def test_a_prediction_is_the_models_teacher_forced_mel(trained: Project) -> None:
    model, card = load_acoustic(paths.ACOUSTIC, torch.device("cpu"))
    predict = Predictor(model, card).predict
    clips = list(islice(stored_clips(open_features(paths.FEATURES), "train"), 3))
    torch.manual_seed(3)
    mels = predict(clips)
    loader = ShardLoader(paths.FEATURES, "train", Batching(3))
    batch = collate([loader.read(entry) for entry in islice(loader.entries, 3)])
    assert batch.ids == tuple(clip.id for clip in clips)
    torch.manual_seed(3)
    with torch.inference_mode():
        expected = model(batch, card.steps).mel_postnet
    for mel, row, frames in zip(mels, expected, batch.mel_lengths.tolist(), strict=True):
        torch.testing.assert_close(model.normalise(mel[None])[0], row[:, :frames], atol=1e-5, rtol=0)
    ends_otherwise = [
        replace(clip, mel=np.concatenate([clip.mel[:, :-3], clip.mel[:, -3:] + 3.0], axis=1)) for clip in clips
    ]
    torch.manual_seed(3)
    for mel, other in zip(mels, predict(ends_otherwise), strict=True):
        # Two layers of the post-net see two frames each to both sides.
        assert torch.equal(mel[:, :-7], other[:, :-7]), "what is yet to come is not told"
    starts_otherwise = [
        replace(clip, mel=np.concatenate([clip.mel[:, :3] + 3.0, clip.mel[:, 3:]], axis=1)) for clip in clips
    ]
    torch.manual_seed(3)
    for mel, other in zip(mels, predict(starts_otherwise), strict=True):
        assert not torch.allclose(mel[:, 5:], other[:, 5:]), "what was said before is"
    assert model.config.frames_per_step == 3, "which pads the prediction, but not what is kept of it"


def test_run_again_it_writes_equal_bytes(trained: Project) -> None:
    trained.run("align", "--device", "cpu")
    first = trained.contents("data/train_on")
    trained.run("align", "--device", "cpu")
    assert trained.contents("data/train_on") == first


def test_stopped_it_keeps_what_is_finished(trained: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kill leaves: the process's own interruption stands for it, the files on the disk are the same."""
    trained.run("align", "--device", "cpu")
    whole = trained.contents("data")
    shutil.rmtree(paths.GTA)
    from stages import align

    predict_shard, done = align.predict_shard, []

    def interrupted_at_the_third(*arguments: object) -> object:
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(arguments)
        return predict_shard(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(align, "predict_shard", interrupted_at_the_third)
    line = trained.run("align", "--device", "cpu", code=130)
    assert line == "align: stopped with 2 of 4 shards finished; `dtc align --device cpu` continues"
    assert not paths.GTA.exists(), "never half a folder"
    monkeypatch.setattr(align, "predict_shard", predict_shard)
    assert "align: 2 of 4 shards are finished already" in trained.run("align", "--device", "cpu")
    assert trained.contents("data") == whole


@pytest.mark.parametrize(("train_on", "folders"), [("gta", 1), ("both", 2)])
def test_the_vocoder_learns_from_them(trained: Project, train_on: str, folders: int) -> None:
    before = read_model(paths.VOCODER, "vocoder")[0]
    trained.write_params({"vocoder.train_on": train_on})
    trained.run("align", "--device", "cpu")
    trained.run("train", "vocoder", "--device", "cpu")
    card = read_model(paths.VOCODER, "vocoder")[0]
    assert card.steps == folders * before.steps, "an epoch is one of each"
    assert (before.aligned, card.aligned) == ("", read_index(paths.GTA).fingerprint)
    assert (before.aligned_by, card.aligned_by) == ("", read_model(paths.ACOUSTIC, "acoustic")[0].fingerprint)
    assert (card.features, card.mel_mean) == (before.features, before.mel_mean)
    assert card.weights != before.weights
    printed = trained.run("provenance", "models/vocoder")
    assert printed.count("│ verified │") == 6, "corpus, manifest, features, acoustic model, predicted mels, vocoder"
    assert list(csv.DictReader(paths.VOCODER_CURVE.open()))
    if train_on == "both":  # tests/e2e/test_repro.py reports on a voice with gta
        trained.run("evaluate", "--device", "cpu")
        trained.run("report")
        assert trained.run("provenance", "results/report/index.html").count("│ verified │") == 7


def test_batches_in_turn_are_those_of_each(trained: Project) -> None:
    trained.run("align", "--device", "cpu")

    def loaders() -> list[ShardLoader]:
        return [
            ShardLoader(folder, "train", Batching(2, seed=seed))
            for seed, folder in enumerate((paths.FEATURES, paths.GTA))
        ]

    both = InTurn(loaders())
    assert both.batches_per_epoch == 6
    batches = list(both.epoch(3))
    for place, loader in enumerate(loaders()):
        expected = list(loader.epoch(3))
        assert [batch.ids for batch in batches[place::2]] == [batch.ids for batch in expected]
        assert all(torch.equal(a.mel, b.mel) for a, b in zip(batches[place::2], expected, strict=True))
    for first in range(7):
        assert [batch.ids for batch in both.epoch(3, first)] == [batch.ids for batch in batches[first:]]
    with pytest.raises(ValueError, match=r"epochs of \[3, 2\] batches, expected equal ones"):
        InTurn([loaders()[0], ShardLoader(paths.FEATURES, "train", Batching(4))])


def test_what_does_not_belong_together_is_refused(trained: Project) -> None:
    line = trained.run("train", "vocoder", "--device", "cpu", code=2)
    assert (
        line
        == "data/train_on/gta: no predicted mels, expected some, as vocoder.train_on requires; run `dtc align` first"
    )
    trained.run("align", "--device", "cpu")
    trained.write_params({"vocoder.train_on": "gta", "features.clips_per_shard": 3})
    trained.run("download")
    trained.run("verify")
    trained.run("preprocess")
    line = trained.run("train", "vocoder", "--device", "cpu", code=2)
    assert line.startswith("data/train_on/gta: mels predicted by model ")
    assert line.endswith("; run `dtc align` again")
    line = trained.run("align", "--device", "cpu", code=2)
    assert line.startswith("models/acoustic: a model trained on features ")
    assert line.endswith("of data/features; train it again")


def test_a_vocoder_that_learnt_from_another_model_says_so(trained: Project) -> None:
    trained.run("align", "--device", "cpu")
    trained.run("train", "vocoder", "--device", "cpu")
    assert "learnt from mels" not in trained.run("say", "one", "--device", "cpu")
    taught_by = read_model(paths.ACOUSTIC, "acoustic")[0].fingerprint
    trained.write_params({"vocoder.train_on": "gta", "training.acoustic.seed": 2})
    trained.run("train", "acoustic", "--device", "cpu")
    own = read_model(paths.ACOUSTIC, "acoustic")[0].fingerprint
    line = f"the vocoder was trained on mels of acoustic model {taught_by}"
    said = " ".join(trained.run("say", "one", "--device", "cpu").split())
    assert f"say: {line}, this is {own}: run `dtc align`, then `dtc train vocoder`, for its own" in said
    assert trained.run("evaluate", "--device", "cpu", code=2) == (
        f"models/vocoder: {line}, expected {own}, of models/acoustic; run `dtc align`, then train it again"
    )


def test_dvc_sees_what_the_vocoder_learns_from(project: Project) -> None:
    """data/train_on/{train_on}: the features' fingerprint; shards; the shards' fingerprint."""
    prepare(project)
    assert paths.RECORDED.read_text().strip() == read_index(paths.FEATURES).fingerprint
    paths.RECORDED.unlink()  # as DVC does before it runs the stage
    project.run("preprocess")
    assert paths.RECORDED.read_text().strip() == read_index(paths.FEATURES).fingerprint
    project.run("train", "acoustic", "--device", "cpu")
    project.write_params({"vocoder.train_on": "both"})
    project.run("align", "--device", "cpu")
    assert paths.GTA_AND_RECORDED.read_text().strip() == read_index(paths.GTA).fingerprint
    index = json.loads((paths.GTA / "index.json").read_text())
    assert md5_of(paths.GTA / "train-00000.tar") == index["shards"][0]["md5"]
