"""The registry of named data sets: where their files are found, and how they become `Sessions`.

A data set may come in several forms. For each form in turn its files are looked up in ``$STUDYLIB_DATA``, then in the
cache (``$STUDYLIB_CACHE``, else the user's cache folder); if no form is there, the first one that may be downloaded is.
"""

from __future__ import annotations

import glob
import hashlib
import logging
import os
import re
import shutil
import tempfile
import threading
import warnings
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import polars as pl
import requests

from studylib.data import synthetic
from studylib.data.readers import concat, event_columns, explained, files as log_files, log_path, read, to_sessions
from studylib.data.sessions import TEST, TRAIN, VALIDATION, Given, Sessions, checksum
from studylib.data.splits import leave_one_out, with_candidates
from studylib.data.tables import counted, read_table
from studylib.errors import StudyError, brief, nearest, quoted, sentence
from studylib.params.study import Log
from studylib.paths import located, write

with warnings.catch_warnings():
    # tqdm's, in a kernel without widgets: no bar of the study needs them.
    warnings.simplefilter("ignore")
    import pooch

RETRIES = 2
"""How often a download that failed is tried again."""
LARGEST = 1 << 30
"""Bytes of a file that is downloaded or unpacked, at most."""
PATIENCE = 1800.0
"""Seconds after which a download that goes on is given up."""


@dataclass(frozen=True)
class Download:
    """A file at a public address.

    Attributes:
        url: the address, pinned to a commit where there is one.
        hash: ``sha256:...`` or ``md5:...`` of what is there; None where it is not known (see `Form.contents`).
        member: the name of the wanted file in the zip archive that is there, or None where the file itself is.
    """

    url: str
    hash: str | None
    member: str | None = None


@dataclass(frozen=True)
class Form:
    """One way in which a data set comes.

    Attributes:
        log: the reader, its options and the path below ``$STUDYLIB_DATA``.
        files: the files that are needed below that path (empty: the path is the file, or the reader knows them).
        downloads: by the path below ``$STUDYLIB_DATA``; empty where the licence does not allow a download.
        prepare: makes the sessions; `readers.read` where nothing else has to be done.
        contents: checksum of items, offsets and times, for a download whose file has no known checksum.
    """

    log: Log
    files: tuple[str, ...] = ()
    downloads: dict[str, Download] = field(default_factory=dict)
    prepare: Callable[[Log, Path], Sessions] = read
    contents: str | None = None

    @property
    def path(self) -> str:
        """Of the file or folder, below ``$STUDYLIB_DATA`` (or the user's own)."""
        assert self.log.path is not None, "every form names its path"
        return self.log.path


@dataclass(frozen=True)
class Dataset:
    """A named data set: its forms in the order of preference, and where its files come from."""

    forms: tuple[Form, ...]
    source: str


def load(log: Log, seed: int = 0) -> Sessions:
    """The sessions of a log, before its filters: generated, read from the user's own path, or from the registry.

    Args:
        log: where the log comes from.
        seed: of the generated log; nothing else depends on it.

    Raises:
        StudyError: the name is unknown, or the files are missing, cannot be downloaded or cannot be read.
    """
    if log.dataset is None:
        return read(log)
    if log.dataset == "synthetic":
        return synthetic.generate(log.synthetic, seed).sessions
    form, path = _find(log.dataset)
    with explained(path):
        return form.prepare(form.log, path)


def check_name(name: str) -> None:
    """Refuse the name of a data set that is not known.

    Raises:
        StudyError: with the nearest name.
    """
    if name not in [*REGISTRY, "synthetic"]:
        raise StudyError(f"There is no data set {quoted(name)}{nearest(name, [*REGISTRY, 'synthetic'])}")


def source_files(log: Log) -> dict[str, str]:
    """The files that a log is read from: name (as in `$STUDYLIB_DATA`, or below the user's own path) and SHA-256."""
    if log.dataset == "synthetic":
        return {}
    form, path = _find(log.dataset) if log.dataset is not None else (Form(log), log_path(log))
    files = [path / name for name in form.files] or log_files(form.log, path)
    start = Path(form.path)
    if not path.exists():  # a pattern: files are called by what is below the folder that it names
        depth = next(depth for depth, folder in enumerate(path.parents) if not glob.has_magic(str(folder)))
        path, start = path.parents[depth], start.parents[depth]
    names = [(start / file.relative_to(path)).as_posix() for file in files]
    return {name: _sha256(file) for name, file in zip(names, files, strict=True)}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def data_root() -> Path | None:
    """``$STUDYLIB_DATA``, where files are looked up first, or None where it is not set."""
    value = os.environ.get("STUDYLIB_DATA")
    if not value:
        return None
    folder = located(value, "$STUDYLIB_DATA")
    if not folder.is_dir():
        raise StudyError(
            f"$STUDYLIB_DATA is {brief(folder, 150)}, which is not a folder; correct it, or unset it to download."
        )
    return folder


def cache_root() -> Path:
    """Where downloads are kept: ``$STUDYLIB_CACHE``, or the user's cache folder."""
    value = os.environ.get("STUDYLIB_CACHE")
    return located(value, "$STUDYLIB_CACHE") if value else Path(pooch.os_cache("studylib"))


def _find(name: str) -> tuple[Form, Path]:
    """The form of a data set that is there, and its path; downloads it if none is.

    Files of ``$STUDYLIB_DATA`` are taken as they are. Those of the cache have to be what was downloaded.
    """
    check_name(name)
    dataset = REGISTRY[name]
    cache = cache_root()
    roots = [root for root in (data_root(), cache) if root]
    for form in dataset.forms:
        for root in roots:
            path = root / form.path
            there = path.exists() and all((path / file).is_file() for file in form.files)
            if there and (root != cache or _is_whole(form, cache)):
                return form, path
    for form in dataset.forms:
        if form.downloads:
            _download(form, cache_root())
            return form, cache_root() / form.path
    where = " or ".join(map(str, roots))
    raise StudyError(f"{name}: not found in {brief(where, 90)}; {dataset.source}")


def _is_whole(form: Form, cache: Path) -> bool:
    """Whether the files of a form in the cache are as they were downloaded. Those that are not are set aside."""
    whole = True
    for name in form.downloads:
        file = cache / name
        expected = _expected(file, form.downloads[name])
        if expected is not None and expected != _sha256(file):
            aside = file.with_name(f"{file.name}.damaged")
            file.replace(aside)
            warnings.warn(
                sentence(file, f"is not as it was downloaded: set aside as {aside.name}, downloaded again."),
                stacklevel=2,
            )
            whole = False
    return whole


def _expected(file: Path, download: Download) -> str | None:
    """The SHA-256 of a file of the cache, where it is known: that of the download, or of the registry."""
    try:
        kept = _checksum_file(file).read_text(encoding="ascii")[:64]
    except (OSError, ValueError):  # put there by hand, or by a version that kept no checksum
        kept = ""
    if re.fullmatch("[0-9a-f]{64}", kept):
        return kept
    if download.member is None and download.hash and download.hash.startswith("sha256:"):
        return download.hash.removeprefix("sha256:")
    return None


def _checksum_file(file: Path) -> Path:
    """Where the SHA-256 of a downloaded file is kept, in the form of `sha256sum`."""
    return file.with_name(f"{file.name}.sha256")


def _download(form: Form, cache: Path) -> None:
    """Download the files of a form; they enter the cache only when all of them are there and verified."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix="download-") as name:
            folder = Path(name)
            for file, download in form.downloads.items():
                _fetch(download, folder, file)
            if form.contents is not None:
                _verify_contents(form, folder)
            for file in form.downloads:
                write(_checksum_file(cache / file), f"{_sha256(folder / file)}  {Path(file).name}\n")
                os.replace(folder / file, cache / file)
    except OSError as error:
        reason = error.strerror or error
        raise StudyError(
            sentence(cache, f"the download cannot be kept here ({reason}); make room, or set $STUDYLIB_CACHE.")
        ) from None


def _fetch(download: Download, folder: Path, name: str) -> None:
    """Download one file to ``folder / name``."""
    file = folder / name
    packed = file if download.member is None else file.with_name(file.name + ".zip")
    logging.getLogger("pooch").setLevel(logging.WARNING)
    store = pooch.create(
        path=packed.parent,
        base_url="",
        registry={packed.name: download.hash},
        urls={packed.name: download.url},
        retry_if_failed=RETRIES,
    )
    try:
        _patiently(lambda: store.fetch(packed.name, downloader=_limited))
    except requests.HTTPError as error:
        status = f"{error.response.status_code} {brief(error.response.reason, 40)}"
        raise _failed(f"the server answers {status}", download, name) from None
    except requests.exceptions.ChunkedEncodingError:
        raise _failed("the connection broke off", download, name) from None
    except requests.RequestException:
        raise _failed("there is no connection to the server", download, name) from None
    except ValueError:  # pooch's, for a checksum that differs
        raise _failed(f"the file there does not have the checksum {brief(download.hash, 16)}", download, name) from None
    except _TooLarge:
        raise _failed(f"the file there has more than {LARGEST:,} bytes", download, name) from None
    except TimeoutError:
        raise _failed(f"it was not done after {PATIENCE / 60:g} minutes", download, name) from None
    if download.member is not None:
        try:
            with (
                zipfile.ZipFile(packed) as archive,
                archive.open(download.member) as content,
                file.open("wb") as target,
            ):
                shutil.copyfileobj(content, _Limited(target))
        except (zipfile.BadZipFile, KeyError, EOFError, zlib.error, RuntimeError, _TooLarge):
            raise _failed("the archive there is damaged", download, name) from None


class _TooLarge(Exception):
    """A file goes on after `LARGEST` bytes."""


class _Limited:
    """A file that takes `LARGEST` bytes."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.left = file, LARGEST

    def write(self, content: bytes) -> int:
        self.left -= len(content)
        if self.left < 0:
            raise _TooLarge
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()


def _limited(url: str, output_file: str, store: pooch.Pooch) -> None:
    """Download as pooch does, whatever length the server names."""
    with open(output_file, "wb") as file:
        pooch.HTTPDownloader(progressbar=True, timeout=30)(url, _Limited(file), store)


def _patiently(download: Callable[[], object]) -> None:
    """Download in a thread of its own, which is left to itself after `PATIENCE`: a server that sends a byte now and then
    holds it for ever.

    Raises:
        TimeoutError: it is still at it.
    """
    errors: list[BaseException] = []

    def run() -> None:
        try:
            download()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        raise TimeoutError
    if errors:
        raise errors[0]


def _failed(what: str, download: Download, name: str) -> StudyError:
    of_archive = "" if download.member is None else f" ({download.member} of the archive)"
    return StudyError(
        f"The download of {brief(download.url, 64)} failed: {what}; try again later, or get it by hand{of_archive}, "
        f"put it at {name} in a folder of your choice and set $STUDYLIB_DATA to it."
    )


def _verify_contents(form: Form, folder: Path) -> None:
    name, download = next(iter(form.downloads.items()))
    try:
        sessions = form.prepare(form.log, folder / form.path)
        times = [] if sessions.times is None else [sessions.times]
        same = checksum(sessions.items, sessions.offsets, *times) == form.contents
    except StudyError:
        same = False
    if not same:
        raise _failed("its events are not those of the data set", download, name)


def _grocery_from_reviews(log: Log, path: Path) -> Sessions:
    """The split and the candidates that ReChorus makes of Amazon's reviews (its data/Amazon.ipynb).

    Repeated rows are left out, the last review of each user is for test and the one before it for validation, and the
    candidates are drawn with seed 0.
    """
    sessions = read(log, path)
    rows = pl.DataFrame({"session": sessions.session_of_event, "item": sessions.items, "time": sessions.times})
    first = rows.to_struct().is_first_distinct().to_numpy()
    sessions = sessions.select(first, "repeated row (same user, item and time)")
    split = with_candidates(leave_one_out(sessions), count=99, seed=0)
    parts = np.full(len(sessions.items), TRAIN, dtype=np.uint8)
    parts[split.validation.events] = VALIDATION
    parts[split.test.events] = TEST
    validation, test = split.validation.candidates, split.test.candidates
    assert validation is not None and test is not None, "`with_candidates` draws them"
    return replace(sessions, given=Given(parts, {VALIDATION: validation, TEST: test}))


_RSC15 = tuple(f"yoochoose-clicks-100k_{name}.txt" for name in ("train_full", "train_valid", "test"))
_RSC15_64 = tuple(f"rsc15_{name}.txt" for name in ("train_full", "train_tr", "test"))
_RSC15_64_PACKED = tuple(f"{name}.txt.gz" for name in ("train_full", "train_tr", "test"))


def _clicks(log: Log, folder: Path, files: tuple[str, ...], of_validation: bool = False) -> Sessions:
    """The split of session-rec: the sessions of the test file for test, and of the others those for validation that the second
    file names.

    All events are taken from the first file: the second leaves out the items that do not occur in the rest of it.

    Args:
        files: all that is not for test; a part of its sessions; those for test.
        of_validation: whether the second file has the sessions for validation, or all others.
    """
    (full, of_full), (named, of_named), (test, of_test) = (
        read_table(folder / file, log.separator or "\t", log.header, event_columns(log)) for file in files
    )
    is_named = pl.col("session").cast(pl.String).is_in(named["session"].unique().cast(pl.String).implode())
    part = pl.when(is_named if of_validation else ~is_named).then(VALIDATION).otherwise(TRAIN)
    table = concat([full.with_columns(part=part), test.with_columns(part=TEST)])
    return to_sessions(folder, table, of_full + of_named + of_test)


_TRAIN_AND_TEST = ("train.txt.gz", "test.txt.gz")


def _train_and_test(log: Log, folder: Path) -> Sessions:
    """The split of the papers on graph networks: a file of sessions to learn from and one for test.

    They take a tenth of the first for validation, drawn at random: here with seed 0.
    """
    train, test = (read(log, folder / file) for file in _TRAIN_AND_TEST)
    parts = np.repeat(np.array([TRAIN, TEST], np.uint8), [len(train), len(test)])
    parts[np.random.default_rng(0).permutation(len(train))[: len(train) // 10]] = VALIDATION
    session = np.concatenate([train.session_of_event, len(train) + test.session_of_event])
    items = np.concatenate([sessions.vocabulary[sessions.items] for sessions in (train, test)])
    table = pl.DataFrame({"session": session, "item": items, "part": parts[session]})
    return to_sessions(folder, table, counted([*train.drops, *test.drops]))


_RAW = "https://raw.githubusercontent.com"
_LIVE_STREAMING = f"{_RAW}/Microstrong0305/BiLSTM4Rec/0650f9bcf6a2eda2128fbd1d6cf98818a1dde25d/datas"
_SESSION_REC = f"{_RAW}/rn5l/session-rec/02cf50705942f13a7f7ad77b0816403fb88df0f5/data/rsc15/prepared"
_RECSYS_EVALUATION = (
    f"{_RAW}/RecSysEvaluation/RecSys_Evaluation/b449359cc290fbc84da46970453e950258c767d4/data/rsc15/fulltrain/rsc15By64"
)
_AMAZON = "http://snap.stanford.edu/data/amazon/productGraph/categoryFiles"
_GROUPLENS = "https://files.grouplens.org/datasets/movielens"


def _pinned(folder: str, url: str, files: tuple[str, ...], *sha256: str) -> dict[str, Download]:
    """The downloads of files that lie beside each other, with their checksums in the same order."""
    return {
        f"{folder}/{file}": Download(f"{url}/{file}", f"sha256:{digest}")
        for file, digest in zip(files, sha256, strict=True)
    }


def _of_graph_networks(folder: str, what: str) -> Dataset:
    """Two files of sessions; their source keeps them as Python's pickles, which are not safe to read."""
    form = Form(Log(reader="sequences", path=folder, separator=" "), files=_TRAIN_AND_TEST, prepare=_train_and_test)
    files = f"train.txt.gz and test.txt.gz, a line a session, items separated by spaces, at {folder}/ in $STUDYLIB_DATA"
    return Dataset((form,), source=f"{what}: put {files}.")


REGISTRY: dict[str, Dataset] = {
    "live-streaming": Dataset(
        (
            Form(
                Log(reader="sequences", path="live-streaming/100thousanddata.csv", separator="|"),
                downloads={
                    "live-streaming/100thousanddata.csv": Download(
                        f"{_LIVE_STREAMING}/100thousanddata.csv",
                        "sha256:039ddda7766baaf0967e32961336190714cd02c377fe1478e43123ba1da5f2d4",
                    )
                },
            ),
        ),
        source="page visits on a live-streaming site (Fu et al. 2018), from the repository Microstrong0305/BiLSTM4Rec.",
    ),
    "grocery": Dataset(
        (
            Form(Log(reader="rechorus", path="rechorus/Grocery_and_Gourmet_Food")),
            Form(
                Log(
                    reader="jsonl",
                    path="grocery/reviews_Grocery_and_Gourmet_Food_5.json.gz",
                    user="reviewerID",
                    item="asin",
                    time="unixReviewTime",
                ),
                downloads={
                    "grocery/reviews_Grocery_and_Gourmet_Food_5.json.gz": Download(
                        f"{_AMAZON}/reviews_Grocery_and_Gourmet_Food_5.json.gz", hash=None
                    )
                },
                prepare=_grocery_from_reviews,
                contents="bfa8f87498666fa99f48f402e2c52d5c9fc84bc16101c9be3a47df14ec677611",
            ),
        ),
        source="Amazon reviews 2014, Grocery and Gourmet Food 5-core (McAuley), in ReChorus's form or as published.",
    ),
    # The two forms order events of equal time differently: the ReChorus folder gives each event its position as time,
    # which u.data leaves to the order of its lines.
    "ml-100k": Dataset(
        (
            Form(Log(reader="rechorus", path="rechorus/ml-100k")),
            Form(
                Log(reader="events", path="ml-100k/u.data", separator="\t", header=False, user=0, item=1, time=3),
                downloads={
                    "ml-100k/u.data": Download(
                        f"{_GROUPLENS}/ml-100k.zip", "md5:0e33842e24a9c977be4e0107933c0723", member="ml-100k/u.data"
                    )
                },
            ),
        ),
        source="MovieLens 100K (GroupLens).",
    ),
    "ml-1m": Dataset(
        (
            Form(
                Log(reader="events", path="ml-1m/ratings.dat", separator="::", header=False, user=0, item=1, time=3),
                downloads={
                    "ml-1m/ratings.dat": Download(
                        f"{_GROUPLENS}/ml-1m.zip", "md5:c4d9eecfca2ab87c1945afe126590906", member="ml-1m/ratings.dat"
                    )
                },
            ),
            # The same events in the same order, without their times.
            Form(Log(reader="sequences", path="ml-1m/sequences.txt.gz", separator=" ", leading_user=True)),
        ),
        source="MovieLens 1M (GroupLens).",
    ),
    "amazon-sports": Dataset(
        (
            Form(Log(reader="sequences", path="amazon/Sports_and_Outdoors.txt.gz", separator=" ", leading_user=True)),
            Form(
                Log(reader="sequences", path="amazon/Sports_and_Outdoors.txt", separator=" ", leading_user=True),
                downloads=_pinned(
                    "amazon",
                    f"{_RAW}/salesforce/ICLRec/2890e6c3ff6a22c6699fc19cb863b66786c1cde4/data",
                    ("Sports_and_Outdoors.txt",),
                    "2a095e0648872beb9982408958290f5d655db5be2911c3756b5446de9f0b8de2",
                ),
            ),
        ),
        source="Amazon reviews 2014, Sports and Outdoors 5-core, from the repository salesforce/ICLRec.",
    ),
    "amazon-video-games": Dataset(
        (
            Form(Log(reader="sequences", path="amazon/Video_Games.txt.gz", separator=" ", leading_user=True)),
            Form(
                Log(reader="events", path="amazon/Video.txt", separator=" ", header=False, user=0, item=1),
                downloads=_pinned(
                    "amazon",
                    f"{_RAW}/kang205/SASRec/e3738967fddab206d6eeb4fda433e7a7034dd8b1/data",
                    ("Video.txt",),
                    "b7376fe24430743f411dc7f567285657b2adb3f74361cc7ba0aee94f3024b651",
                ),
            ),
        ),
        source="Amazon reviews 2014, Video Games, from the repository kang205/SASRec.",
    ),
    "yelp": Dataset(
        (Form(Log(reader="sequences", path="yelp/Yelp.txt", separator=" ", leading_user=True)),),
        source=(
            "Yelp does not allow handing it on: put data/Yelp.txt of salesforce/ICLRec at yelp/Yelp.txt in "
            "$STUDYLIB_DATA, or read Yelp's yelp_academic_dataset_review.json with the reader jsonl."
        ),
    ),
    "rsc15-100k": Dataset(
        (
            Form(
                Log(reader="events", path="rsc15-100k", separator="\t", user="SessionId", item="ItemId", time="Time"),
                files=_RSC15,
                downloads=_pinned(
                    "rsc15-100k",
                    _SESSION_REC,
                    _RSC15,
                    "9842c90358298ee784fcf0c9dccb2eeb283ab04368e53bdeee896747f4c03e1e",
                    "14fca72e690c19b0da391059b7cf2c1b611cddbd1248ce93578a039ddb26ea69",
                    "380410c606403531019e1ec0b4d192ef90492d594b9b5a91633b860618dd7136",
                ),
                prepare=partial(_clicks, files=_RSC15, of_validation=True),
            ),
        ),
        source="a sample of the RecSys Challenge 2015 clicks (Yoochoose), from the repository rn5l/session-rec.",
    ),
    "rsc15-64": Dataset(
        (
            Form(
                Log(reader="events", path="rsc15-64", separator="\t", user="SessionId", item="ItemId", time="Time"),
                files=_RSC15_64_PACKED,
                prepare=partial(_clicks, files=_RSC15_64_PACKED),
            ),
            Form(
                Log(reader="events", path="rsc15-64", separator="\t", user="SessionId", item="ItemId", time="Time"),
                files=_RSC15_64,
                downloads=_pinned(
                    "rsc15-64",
                    _RECSYS_EVALUATION,
                    _RSC15_64,
                    "4ac17790dcd940ae84220fd5dae3344778295ca17042bf5c5d1e3ccb5975c668",
                    "76f0830da0c40266ddc7764087b15eca5cbf59f118ec51d6414112550a6ec38c",
                    "ddc3c2266a129a5dcb9f18773352b4801f7696209dd740793d354f0c52c24993",
                ),
                prepare=partial(_clicks, files=_RSC15_64),
            ),
        ),
        source="another sample of these clicks, from the repository RecSysEvaluation/RecSys_Evaluation.",
    ),
    "yoochoose-1-64": _of_graph_networks(
        "rsc15-1_64", "YooChoose 1/64 of the papers on graph networks, as in the repository MSJeinlong/CGENet"
    ),
    "diginetica": _of_graph_networks(
        "diginetica", "Diginetica of the papers on graph networks, as in the repository CCIIPLab/GCE-GNN"
    ),
    "retailrocket": _of_graph_networks(
        "retailrocket", "views of RetailRocket, sessions of three and more, as in the repository sessionRec/MTD"
    ),
}
"""The named data sets; the file names are those of ``$STUDYLIB_DATA``."""
