"""`dtc duel`: let people hear the voice and the recordings, and say which is the human."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import signal
import socket
import time
import webbrowser
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from secrets import SystemRandom

import uvicorn
from rich.console import Console

from dtc.duel.app import Duel, make_app
from dtc.duel.sounds import Sounds, prepare, read_waves
from dtc.duel.static_page import key_path, make_page
from dtc.duel.trials import Clip, Item
from dtc.duel.votes import VoteBook
from dtc.errors import InputError, named, plural
from dtc.evaluation.speech_folder import COPY, RECORDING, SYNTHESIS, SpokenText, read_speech_folder
from dtc.files import write_whole
from dtc.provenance import fingerprint, sha256_of
from stages import paths
from stages.duel_count import VOICE, write_figures
from stages.params_file import read_yaml

HOST, PORT = "127.0.0.1", 8642
GRACE_S = 3  # for answers that are under way when the server ends
PORTS = 20  # that are tried where none is named
SHORTEST_TOKEN = 12  # characters
PUBLIC = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # all addresses of this machine → one elsewhere (RFC 5737, 3849)
HOST_REMEDY = "name an address of this machine, or all of them: --host 0.0.0.0"
TOKEN_REMEDY = "make one with `python -c 'import secrets; print(secrets.token_urlsafe())'`"
FEWEST_TEXTS = 2
NAMELESS = ("results", "scp")  # folders that do not tell one voice from another


@dataclass(frozen=True)
class Address:
    """Where the server listens. `port` None: PORT, or the next free one."""

    host: str
    port: int | None
    token: str | None

    @property
    def is_of_this_machine(self) -> bool:
        """Return whether no other machine can connect."""
        try:
            return self.host == "localhost" or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def page(self, port: int) -> str:
        """Return the address of the page."""
        host = _own_address(PUBLIC[self.host]) if self.host in PUBLIC else self.host
        host = f"[{host}]" if ":" in host else host
        return f"http://{host}:{port}/" + (f"?token={self.token}" if self.token else "")

    def require_token(self) -> None:
        """Raise InputError where other machines could connect without a token, and for a token that can be guessed."""
        if self.token is None and not self.is_of_this_machine:
            raise InputError("--host", f"{self.host}, which other machines can reach", "--token too", TOKEN_REMEDY)
        if self.token is not None and not re.fullmatch(rf"[\w.~-]{{{SHORTEST_TOKEN},}}", self.token, re.ASCII):
            expected = f"{SHORTEST_TOKEN} or more letters, digits and -, _, ., ~"
            raise InputError("--token", "cannot be used", expected, TOKEN_REMEDY)


@dataclass(frozen=True)
class Clips:
    """The clips of one or several voices, ready to be heard."""

    sounds: Sounds
    texts: Sequence[str]  # ids
    voices: Sequence[str]  # NAME@FINGERPRINT: a voice that is trained again is another voice


def serve(folders: Sequence[Path], address: Address, open_page: bool, console: Console) -> None:
    """Serve the page until Ctrl-C, then count the votes and write results/metrics/duel.json."""
    address.require_token()
    clips = read_clips(folders)
    with closing(_listen(address)) as listening, closing(VoteBook(paths.DUEL_VOTES)) as book:
        app = make_app(Duel(clips.sounds, clips.texts, clips.voices, book), address.token)
        page = address.page(listening.getsockname()[1])
        console.print(f"duel: {page} has {_texts_of(clips)}; Ctrl-C ends it and counts the votes")
        if open_page and not webbrowser.open(page):
            console.print("duel: no browser was found; open that address in one")
        config = uvicorn.Config(
            app,
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
        )
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # it ends the server as Ctrl-C does
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
        votes = book.all_votes()
    if votes:
        write_figures(votes, console)
    else:
        console.print("duel: no votes")


def write_page(folders: Sequence[Path], out: Path, console: Console) -> None:
    """Write the page that works without a server, and its key, which stays here."""
    if (page := out / "index.html").exists():
        raise InputError(page, "is there already", remedy="name another folder: answers to that page may still come")
    clips = read_clips(folders)
    html, key = make_page(clips.sounds, clips.texts, clips.voices, SystemRandom(), time.time())
    kept = key_path(paths.VOTES, key.page)
    write_whole(kept, key.model_dump_json(indent=2) + "\n")
    write_whole(page, html)
    questions = plural(len(key.trials), "question")
    console.print(f"duel: {page} ({len(html) / 1e6:.1f} MB) has {questions}, of {_texts_of(clips)}")
    console.print(f"duel: its key is {kept}, which counting needs and listeners must not see")
    console.print("duel: each listener sends back a file of answers; `dtc duel --count FILES` counts them")


def read_clips(folders: Sequence[Path]) -> Clips:
    """Read the clips of one voice, or of several, and make them equal in all but the speech.

    Args:
        folders: a speech folder for each voice; none: results/scp. The recordings are those of the first.

    Raises InputError where two voices have one name, where a text is not the same in two folders, and where there are
    too few texts that all folders have.
    """
    if not folders and not paths.SCP.exists():
        read_yaml(paths.PARAMS)  # without a project, `dtc evaluate` is no remedy
    read = {_voice_of(folder): read_speech_folder(folder) for folder in folders or [paths.SCP]}
    if len(read) < len(folders):
        raise InputError("dtc duel", "two voices of one name", remedy="rename a folder")
    texts = _common_texts(read)
    files = dict[Clip, Path]()
    labels = []
    for name, spoken in read.items():
        by_id = {each.id: each.paths for each in spoken}
        label = f"{name}@{fingerprint([sha256_of(by_id[id][SYNTHESIS]) for id in texts])}"
        for id in texts:
            files.setdefault(Clip(Item(RECORDING), id), by_id[id][RECORDING])
            files |= {Clip(Item(kind, label), id): by_id[id][kind] for kind in (COPY, SYNTHESIS)}
        labels.append(label)
    return Clips(prepare(*read_waves(files)), texts, labels)


def _voice_of(folder: Path) -> str:
    """Return the name of the voice of a folder: the last part of its path that tells something."""
    if folder == paths.SCP:
        return VOICE
    name = next((part for part in reversed(folder.resolve().parts) if part not in NAMELESS), VOICE)
    return re.sub(r"[^\w.-]+", "-", name)


def _common_texts(read: dict[str, list[SpokenText]]) -> list[str]:
    """Return the ids that all voices have, sorted."""
    spoken = [{each.id: each.text for each in texts} for texts in read.values()]
    common = sorted(set.intersection(*(set(each) for each in spoken)))
    if others := [id for id in common if len({each[id] for each in spoken}) > 1]:
        raise InputError("dtc duel", f"the voices say different texts for {named(others)}", "one text for each id")
    if len(common) < FEWEST_TEXTS:
        found = f"{plural(len(common), 'text')} that {'all voices have' if len(read) > 1 else 'can be heard'}"
        raise InputError("dtc duel", found, f"{FEWEST_TEXTS} or more", "evaluate the voices on the same clips")
    return common


def _listen(address: Address) -> socket.socket:
    """Return a socket that listens. Raises InputError where the port is in use, or the address cannot be used."""
    ports = [address.port] if address.port is not None else range(PORT, PORT + PORTS)
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    for port in ports:
        try:
            return socket.create_server((address.host, port), family=family, backlog=256)
        except socket.gaierror:
            raise InputError("--host", f"{address.host} has no address", remedy=HOST_REMEDY) from None
        except OSError as error:
            if "in use" not in str(error):
                found = f"{address.host} cannot be used ({error.strerror})"
                raise InputError("--host", found, remedy=HOST_REMEDY) from None
    found = f"{address.port} is in use" if address.port else f"{PORT} to {PORT + PORTS - 1} are in use"
    raise InputError("--port", found, remedy="name another one" + (", or leave --port out" if address.port else ""))


def _own_address(elsewhere: str) -> str:
    """Return the address of this machine from which it would reach another one; its name, where it reaches none.

    Nothing is sent: a datagram socket that is connected only chooses its own address.
    """
    family = socket.AF_INET6 if ":" in elsewhere else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as chosen:
            chosen.connect((elsewhere, PORT))
            return str(chosen.getsockname()[0])
    except OSError:
        return socket.gethostname()


def _texts_of(clips: Clips) -> str:
    names = [voice.partition("@")[0] for voice in clips.voices]
    of = f" of {named(names)}" if len(names) > 1 else ""
    return f"{plural(len(clips.texts), 'text')}{of}"
