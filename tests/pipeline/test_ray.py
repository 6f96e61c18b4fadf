"""distributed.engine: ray, on a Ray of this machine: the same bytes as local ones, and a killed worker made up for."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dtc.audio_config import AudioConfig
from dtc.errors import InputError
from pipeline.archives import pack_folder
from pipeline.config import DistributedConfig, FeaturesConfig, RecordingConfig, VerifyConfig
from pipeline.corpora import CorpusConfig
from pipeline.engine import run
from pipeline.feature_recipe import FeatureRecipe
from pipeline.ray_cluster import require_cluster
from pipeline.shard_job import ShardJob, ShardMaker, contents_of, plan_jobs, without_content
from pipeline.shard_writer import BuiltShard
from pipeline.verify import CorpusSettings, verify_corpus
from stages.params import load_params

pytestmark = pytest.mark.slow

RAY = DistributedConfig(engine="ray", workers=2, ray_address=None)
PARAMS = load_params(Path(__file__).parents[2] / "params.yaml")
AS_IT_IS = RecordingConfig(resample=False, channels="mono", trim_silence_db=None, loudness_lufs=None)


@dataclass(frozen=True)
class KilledOnce(ShardMaker):
    """As an out-of-memory killer does it: whoever takes the second shard first is killed at it."""

    note: Path

    def build(self, job: ShardJob) -> BuiltShard:
        if job.file == "train-00001.tar" and not self.note.exists():
            self.note.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().build(job)


def refuse_seven(number: int) -> int:
    if number == 7:
        raise InputError("job 7", "a seven", "another number", "take it out")
    return number


def kill_oneself(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module", autouse=True)
def local_ray() -> Iterator[None]:
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    here = {"env_vars": {"PYTHONPATH": str(Path(__file__).parent)}}  # where a worker finds the functions above
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR", runtime_env=here)
    yield
    ray.shutdown()


def test_the_same_bytes_though_a_worker_is_killed(
    tmp_path: Path, make_corpus: Callable[..., Path], audio: AudioConfig
) -> None:
    archive = tmp_path / "voice.tar"
    pack_folder(make_corpus(tmp_path / "voice", clips=10), archive)
    bounds = VerifyConfig.model_validate(
        PARAMS.verify.model_dump() | {"min_duration_s": 0.1, "max_characters_per_s": 200.0}
    )
    corpus = CorpusConfig.model_validate(PARAMS.corpus.model_dump() | {"md5": None, "sha256": None})
    rows = verify_corpus(archive, CorpusSettings(corpus, AS_IT_IS, bounds, audio, PARAMS.text), lambda clip: None).rows
    assert len(rows) == 10
    recipe, splits = FeatureRecipe(AS_IT_IS, audio, FeaturesConfig(stft=True, clips_per_shard=3)), ["train"] * 10
    local = [ShardMaker(archive, recipe).build(job) for job in plan_jobs(without_content(rows), splits, 3, frozenset())]
    maker = KilledOnce(tmp_path / "not on every node.tar", recipe, tmp_path / "note")
    jobs = plan_jobs(contents_of(archive, rows), splits, 3, frozenset())
    assert list(run(maker.build, jobs, RAY)) == local
    assert (tmp_path / "note").exists(), "a worker was killed"


def test_errors_arrive_whole() -> None:
    with pytest.raises(InputError) as error:
        list(run(refuse_seven, range(10), RAY))
    assert str(error.value) == "job 7: a seven, expected another number; take it out"


def test_a_running_cluster_is_found() -> None:
    import ray

    require_cluster("distributed", ray.get_runtime_context().gcs_address)


def test_a_shard_that_kills_every_worker_is_told() -> None:
    with pytest.raises(InputError, match=r"^a Ray worker: died 4 times at one shard; run it again"):
        list(run(kill_oneself, [3], RAY))
