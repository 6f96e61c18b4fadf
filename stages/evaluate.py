"""`dtc evaluate`: measure the voice on clips that no model was trained on, and write what was measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import torch
from rich.console import Console
from torch import Tensor

from dtc.audio_config import require_same_audio
from dtc.batch import Clip
from dtc.errors import InputError
from dtc.evaluation import NO_RECOGNISER, EvaluateConfig
from dtc.evaluation.recognisers import transcribe_all
from dtc.evaluation.word_errors import WordErrors, total
from dtc.files import locked, write_whole
from dtc.report.content import save_report
from dtc.speech import Speech
from dtc.synthesis_config import SynthesisConfig
from dtc.vocoder.configs import GriffinLimConfig
from dtc.vocoder.griffin_lim import GriffinLim
from dtc.voice import Voice
from pipeline.batching import Batching
from pipeline.corpora import find_texts
from pipeline.loader import ShardLoader
from pipeline.shards import ShardIndex, read_index
from stages import paths
from stages.ears import ears_of
from stages.evaluation_figures import (
    copy_figures,
    count_errors,
    error_rates,
    errors_of_utterances,
    measure_utterances,
    timing,
    voice_figures,
)
from stages.evaluation_report import make_report, pictures_of
from stages.evaluation_results import (
    COPIES,
    COPY,
    FITTED_COPY,
    GRIFFIN_LIM_COPY,
    GRIFFIN_LIM_SYNTHESIS,
    MEANINGS,
    OTHER_TEXTS,
    RECORDING,
    SYNTHESIS,
    Evaluation,
    Trial,
    print_summary,
    write_results,
)
from stages.evaluation_verdict import not_judged, worse_on_other_texts
from stages.say import read_texts
from stages.voice_card import Rights, make_voice_card

MOST_TRAINING_TEXTS = 1000  # that are read to name what they have in common


def evaluate(
    evaluate: EvaluateConfig, synthesis: SynthesisConfig, rights: Rights, device: torch.device, console: Console
) -> None:
    """Synthesise the held-out texts, recognise the speech, compare it with the recordings, and write the results."""
    with locked(paths.EVALUATED):
        index = read_index(paths.FEATURES)
        voice = Voice.load(paths.ACOUSTIC.parent, device)
        _require_same_training_data(index, voice)
        found = _evaluate(voice, evaluate, synthesis, console)
        sounds = write_results(found)
        settings = {"synthesis": synthesis, "evaluate": evaluate}
        save_report(make_report(found, sounds, voice, index, settings), pictures_of(found), paths.EVALUATED)
        write_whole(paths.VOICE_CARD, make_voice_card(found, voice, index, rights))
    print_summary(found, console)


def _evaluate(voice: Voice, evaluate: EvaluateConfig, synthesis: SynthesisConfig, console: Console) -> Evaluation:
    loader = ShardLoader(paths.FEATURES, "test", Batching(1))
    clips = [loader.read(entry) for entry in islice(loader.entries, evaluate.max_clips)]
    console.print(f"evaluate: synthesising {len(clips)} held-out texts")
    started = time.monotonic()
    texts = [clip.raw_text for clip in clips]
    speeches = voice.speak_words(texts, [clip.spoken_text for clip in clips], evaluate.seed, synthesis)
    synthesis_seconds = time.monotonic() - started
    trials = _make_trials(voice, clips, speeches, evaluate)
    other_texts = _speak_other_texts(voice, evaluate, synthesis, console)
    recognised = _recognise(trials, other_texts, voice, evaluate, console) if evaluate.ear != NO_RECOGNISER else {}
    console.print(f"evaluate: measuring {len(trials)} utterances and {len(trials)} × {len(COPIES)} copies")
    counted = count_errors(trials, other_texts, recognised)
    totals = {name: total(errors) for name, errors in counted.items()}
    measured = measure_utterances(trials, voice)
    errors = errors_of_utterances(trials, recognised)
    return Evaluation(
        trials=trials,
        other_texts=other_texts,
        recognised=recognised,
        word_error_rates={name: errors.rate for name, errors in totals.items()},
        utterances=[heard | values for heard, values in zip(errors, measured, strict=True)],
        metrics=error_rates(trials, counted, recognised) | voice_figures(trials, measured, voice),
        copies=copy_figures(trials, voice),
        timing=timing(trials, voice, synthesis_seconds),
        warnings=_warnings(totals, other_texts),
    )


def _speak_other_texts(
    voice: Voice, evaluate: EvaluateConfig, synthesis: SynthesisConfig, console: Console
) -> list[Speech]:
    """Return the speech of `evaluate.texts`; [] where nothing would recognise its words.

    Prints and leaves out the texts that the voice cannot read: a small corpus does not have every letter.
    """
    if evaluate.texts is None or evaluate.ear == NO_RECOGNISER:
        return []
    spoken = {}
    for text in read_texts((), find_texts(evaluate.texts)):
        try:
            spoken[text.raw_text] = voice.read(text.raw_text, text.where)
        except InputError as error:
            console.print(f"evaluate: left out: {error}")
    return voice.speak_words(list(spoken), list(spoken.values()), evaluate.seed, synthesis)


def _warnings(counted: Mapping[str, WordErrors], other_texts: Sequence[Speech]) -> list[str]:
    if warning := not_judged(counted.get(RECORDING)):
        return [warning]
    if not other_texts:
        return []
    texts = [speech.spoken_text for speech in other_texts]
    warning = worse_on_other_texts(counted[SYNTHESIS], counted[OTHER_TEXTS], texts, training_texts)
    return [warning] if warning else []


def training_texts() -> list[str]:
    """Return the spoken texts of the training clips in data/features, at most the first 1,000."""
    loader = ShardLoader(paths.FEATURES, "train", Batching(1))
    return [loader.read(entry).spoken_text for entry in islice(loader.entries, MOST_TRAINING_TEXTS)]


def _require_same_training_data(index: ShardIndex, voice: Voice) -> None:
    """Raise InputError where a model was not trained on these shards: their test clips may be its training clips."""
    require_same_audio(index.audio, "features", voice.audio, "voice")
    for card in (voice.acoustic_card, voice.vocoder_card):
        if card.features != index.fingerprint:
            found = f"trained on features {card.features}"
            remedy = "train it again; which clips an imported model was trained on is unknown"
            raise InputError(f"{card.kind} model", found, f"{index.fingerprint}, of {paths.FEATURES}", remedy)
    if voice.mismatch:
        expected = f"{voice.acoustic_card.fingerprint}, of {paths.ACOUSTIC}"
        raise InputError(paths.VOCODER, voice.mismatch, expected, "run `dtc align`, then train it again")


def _make_trials(
    voice: Voice, clips: Sequence[Clip], speeches: Sequence[Speech], evaluate: EvaluateConfig
) -> list[Trial]:
    iterations, momentum = evaluate.griffin_lim_iterations, evaluate.griffin_lim_momentum
    config = GriffinLimConfig(model="griffin_lim", train_on="recorded", iterations=iterations, momentum=momentum)
    griffin_lim = GriffinLim(config, voice.audio)
    copiers: dict[str, Callable[[Tensor], Tensor]] = {
        COPY: lambda mel: voice.copy(mel, fit_iterations=0),
        FITTED_COPY: lambda mel: voice.copy(mel, evaluate.fit_iterations),
        GRIFFIN_LIM_COPY: lambda mel: griffin_lim(mel[None])[0],
    }
    trials = []
    for clip, speech in zip(clips, speeches, strict=True):
        griffin_lim_synthesis = griffin_lim(speech.mel[None])[0]
        waves = {RECORDING: clip.wave, SYNTHESIS: speech.wave, GRIFFIN_LIM_SYNTHESIS: griffin_lim_synthesis}
        copy_seconds = {}
        for name, copy in copiers.items():
            started = time.perf_counter()
            waves[name] = copy(clip.mel)
            copy_seconds[name] = time.perf_counter() - started
        trials.append(Trial(clip, speech, waves, copy_seconds))
    return trials


def _recognise(
    trials: Sequence[Trial], other_texts: Sequence[Speech], voice: Voice, evaluate: EvaluateConfig, console: Console
) -> dict[str, list[str]]:
    """Return the recognised words of every waveform of every trial, and of the other texts."""
    console.print(f"evaluate: recognising the words of {len(trials)} × {len(MEANINGS)} waveforms")
    waves = {name: [trial.waves[name].numpy() for trial in trials] for name in MEANINGS}
    if other_texts:
        waves[OTHER_TEXTS] = [speech.wave.numpy() for speech in other_texts]
    own, other = ears_of(evaluate)
    configs = dict.fromkeys(MEANINGS, own) | {OTHER_TEXTS: other}
    requests = [(configs[name], wave) for name in waves for wave in waves[name]]
    words = iter(transcribe_all(requests, voice.audio.sampling_rate))
    return {name: list(islice(words, len(waves[name]))) for name in waves}
