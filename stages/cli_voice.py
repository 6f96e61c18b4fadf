"""The commands that use a trained voice, `dtc say`, `dtc import …` and `dtc export …`; and `dtc migrate`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from dtc.errors import InputError
from stages import paths
from stages.cli_base import Device, Overwrite, console, examples, group
from stages.cli_base import device as device_of

imports = group(
    "Make a model folder of another project's checkpoint.",
    "dtc import nvidia-tacotron2 tacotron2_statedict.pt",
    "dtc import nvidia-waveglow waveglow_256channels.pt --out waveglow",
)
exports = group(
    "Write a trained model or voice for another project.",
    "dtc export onnx voice.onnx --voice",
    "dtc export onnx vocoder.onnx",
    "dtc export sherpa voice-for-sherpa",
    "dtc export piper voice-for-piper",
    "dtc export nvidia-waveglow waveglow.pt",
    "dtc export nvidia-tacotron2 tacotron2.pt --model imported",
)

Models = Annotated[Path, typer.Option("--models", help="The folder that holds acoustic/ and vocoder/.")]
SAY_EXAMPLES = examples(
    'dtc say "call 90210 at 7:45"',
    "dtc say --file texts.txt --out chapter1",
    'dtc say -- "-5 degrees"             a text that begins with "-"',
    'dtc say --check "call 90210"        listens, and says again what is misheard',
    "dtc say --stream hello | aplay -t raw -f S16_LE -c 1 -r 16000",
)


def say(
    texts: Annotated[list[str] | None, typer.Argument(metavar="TEXTS", help="The texts to speak.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", help="A file with one text in each line; - is standard input.")
    ] = None,
    models: Models = paths.MODELS,
    out: Annotated[
        Path | None, typer.Option(help=f"The folder to write the WAV files to. [default: {paths.SPOKEN}]")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The seed: another one gives another rendering.")] = 1,
    stream: Annotated[
        bool, typer.Option("--stream", help="Write samples to standard output, phrase by phrase, for a player.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Listen to the speech with a recogniser, and say again what is misheard.")
    ] = False,
    params_file: Annotated[
        Path | None,
        typer.Option("--params", help="Read synthesis, and for --check evaluate, of this file. [default: params.yaml]"),
    ] = None,
    credentials: Annotated[
        tuple[Path, Path] | None,
        typer.Option(metavar="KEY CERT", help="Sign each WAV file with these PEM files: content credentials (C2PA)."),
    ] = None,
    device: Device = "auto",
) -> None:
    """Speak texts of any length; write a WAV file for each.

    Needs two model folders and nothing else. Writes a JSON file beside each WAV file, which records how it was made.
    Each WAV file says that its speech is synthetic. Earlier WAV files are kept. The settings are those of the section
    `synthesis` of params.yaml where there is one. The recogniser of --check is evaluate.ear of params.yaml, or else
    whisper, which needs the extra `ear`. --credentials needs the extra `c2pa`.
    """
    from stages.params import load_ear, load_synthesis
    from stages.say import Request, load, read_texts, save
    from stages.say import stream as stream_samples

    if stream and out:
        raise InputError("--out", "given together with --stream, which writes no file", remedy="leave out one of them")
    if stream and check:
        found = "given together with --stream, which plays a phrase before it could be said again"
        raise InputError("--check", found, remedy="leave out one of them")
    if stream and credentials:
        found = "given together with --stream, whose samples have no place for them"
        raise InputError("--credentials", found, remedy="leave out one of them")
    sign = None
    if credentials:
        from dtc.credentials import Credentials

        sign = Credentials.read(*credentials).sign
    to_say, config, messages = read_texts(texts or [], file), load_synthesis(params_file), console(stderr=stream)
    voice = load(models, device_of(device), messages)
    listener = None
    if check:
        from stages.say_check import Check

        listener = Check(load_ear(params_file), voice.audio.sampling_rate)
    request = Request(to_say, config, voice, seed, listener, sign)
    if stream:
        stream_samples(request, sys.stdout.buffer, messages)
    else:
        save(request, out or paths.SPOKEN, messages)


MIGRATE_EXAMPLES = examples("dtc migrate config.yaml", "dtc migrate config.yaml --output migrated.yaml")


def migrate(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A config.yaml of the original system.")],
    output: Annotated[Path, typer.Option(help="The params file to write.")] = paths.PARAMS,
) -> None:
    """Write a params.yaml from a config.yaml of the original system.

    Prints each key that has no counterpart, with the reason. What CONFIG does not say is from the preset
    ljspeech-tacotron2 or ljspeech-dtc. A file that is there already is never replaced.
    """
    from stages.migrate import migrate

    migrate(config, output, console())


# Name → the command and the end of its help.
COMMANDS: dict[str, tuple[Callable[..., None], str]] = {
    "say": (say, SAY_EXAMPLES),
    "migrate": (migrate, MIGRATE_EXAMPLES),
}

TheirCheckpoint = Annotated[
    Path,
    typer.Argument(
        metavar="FILE", help="A checkpoint of NVIDIA's or DeepLearningExamples', or a state_dict; .safetensors too."
    ),
]
TheirHparams = Annotated[
    Path | None, typer.Option(help='JSON with its hyper-parameters, such as {"gate_threshold": 0.6}.')
]


def _add_import(name: str, help: str, example: str, folder: Path) -> None:
    @imports.command(
        name,
        help=help,
        epilog=examples(f"dtc import {name} {example}", f"dtc import {name} {example} --hparams hparams.json"),
    )
    def import_format(
        file: TheirCheckpoint,
        hparams: TheirHparams = None,
        out: Annotated[Path, typer.Option(help="The model folder to write.")] = folder,
        overwrite: Overwrite = False,
    ) -> None:
        from stages.import_export import Target, import_model

        import_model(name, file, hparams, Target(out, overwrite), console())


def _add_export(name: str, help: str, example: str, folder: Path) -> None:
    @exports.command(name, help=help, epilog=examples(f"dtc export {name} {example}"))
    def export_format(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
        model: Annotated[Path, typer.Option(help="The model folder to read.")] = folder,
        overwrite: Overwrite = False,
    ) -> None:
        from stages.import_export import Target, export_model

        export_model(name, model, Target(file, overwrite), console())


@exports.command(
    "onnx", epilog=examples("dtc export onnx voice.onnx --voice", "dtc export onnx vocoder.onnx --model models/vocoder")
)
def export_onnx(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file to write.")],
    voice: Annotated[
        bool, typer.Option("--voice", help="Export the whole voice: symbol ids to waveform. Else only the vocoder.")
    ] = False,
    model: Annotated[
        Path | None,
        typer.Option(
            help=f"The model folder to read; of a voice, the folder that holds acoustic/ and vocoder/. "
            f"[default: {paths.VOCODER}, or {paths.MODELS} with --voice]"
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Export a vocoder or a voice for onnxruntime.

    A voice is exported if its models are parallel and vocos. The file's metadata has the symbols and their ids, the
    sampling rate, and how texts must be written.
    """
    from stages.import_export import Target, export_model

    folder = model or (paths.MODELS if voice else paths.VOCODER)
    export_model("onnx-voice" if voice else "onnx", folder, Target(file, overwrite), console())


def _add_voice_export(name: str, help: str, details: str) -> None:
    @exports.command(name, help=f"{help}\n\n{details}", epilog=examples(f"dtc export {name} voice-for-{name}"))
    def export_voice(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write.")],
        models: Models = paths.MODELS,
        overwrite: Overwrite = False,
    ) -> None:
        from stages.import_export import Target, export_model

        export_model(name, models, Target(folder, overwrite), console())


NO_CODE = "No code in the file is run."
_add_import("nvidia-tacotron2", f"Import a Tacotron 2 of NVIDIA's. {NO_CODE}", "tacotron2_statedict.pt", paths.ACOUSTIC)
_add_import("nvidia-waveglow", f"Import a WaveGlow of NVIDIA's. {NO_CODE}", "waveglow_256channels.pt", paths.VOCODER)
WORDS = "reads no numbers or abbreviations: give it words."
_add_voice_export(
    "sherpa", "Export a voice for sherpa-onnx.", f"A voice with a lexicon takes it along. sherpa-onnx {WORDS}"
)
_add_voice_export("piper", "Export a voice for Piper.", f"The voice must be one without a lexicon. Piper {WORDS}")
_add_export("nvidia-waveglow", "Export a WaveGlow as a state_dict of NVIDIA's.", "waveglow.pt", paths.VOCODER)
_add_export("nvidia-tacotron2", "Export a Tacotron 2 as a state_dict of NVIDIA's.", "tacotron2.pt", paths.ACOUSTIC)
