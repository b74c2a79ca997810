"""The registry: where files are found, what is downloaded, and what the named sets contain."""

import contextlib
import gzip
import hashlib
import io
import json
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from studylib.data import datasets
from studylib.data.datasets import REGISTRY, Dataset, Download, Form, load, source_files
from studylib.data.readers import read
from studylib.data.sessions import TEST, TRAIN, VALIDATION, Drop, Sessions, apply_filters, checksum
from studylib.data.splits import leave_one_out, split_as_given, with_candidates
from studylib.errors import StudyError
from studylib.params.study import Log, Synthetic


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    """No test sees the user's cache; a test that wants the real data asks for it."""
    monkeypatch.setenv("STUDYLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("STUDYLIB_DATA", raising=False)
    return tmp_path


@pytest.fixture
def real(data_root, monkeypatch):
    monkeypatch.setenv("STUDYLIB_DATA", str(data_root))
    return data_root


def put(path: Path, content: bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


# looking up


def test_the_data_folder_comes_before_the_cache_and_its_file_is_used_as_it_is(folders, monkeypatch):
    name, log = "yelp/Yelp.txt", Log(dataset="yelp")
    in_cache = put(folders / "cache" / name, b"u 1 2\nv 2 3\n")
    assert load(log).vocabulary.tolist() == [1, 2, 3]
    assert source_files(log) == {name: in_cache}
    in_data = put(folders / "data" / name, b"u 7 8\n")
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "data"))
    assert load(log).vocabulary.tolist() == [7, 8]
    assert source_files(log) == {name: in_data}


def test_a_preferred_form_in_the_cache_comes_before_another_in_the_data_folder(folders, monkeypatch):
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "data"))
    put(folders / "data/ml-100k/u.data", b"1\t10\t5\t3\n1\t11\t5\t2\n")
    assert load(Log(dataset="ml-100k")).given is None
    for name, row in (("train", b"1\t10\t1\n"), ("dev", b"1\t11\t2\n"), ("test", b"1\t12\t3\n")):
        put(folders / f"cache/rechorus/ml-100k/{name}.csv", b"user_id\titem_id\ttime\n" + row)
    sessions = load(Log(dataset="ml-100k"))
    assert sessions.given.parts.tolist() == [TRAIN, VALIDATION, TEST]
    assert list(source_files(Log(dataset="ml-100k"))) == [f"rechorus/ml-100k/{n}.csv" for n in ("train", "dev", "test")]


def test_a_relative_data_folder_starts_at_the_project(folders, monkeypatch):
    monkeypatch.setattr("studylib.paths.project_root", lambda: folders)
    monkeypatch.setenv("STUDYLIB_DATA", "data")
    put(folders / "data/ml-1m/ratings.dat", b"2::10::5::3\n1::12::5::2\n1::11::5::1\n")
    sessions = load(Log(dataset="ml-1m"))
    assert sessions.vocabulary[sessions.items].tolist() == [11, 12, 10]


def test_a_data_folder_that_does_not_exist_is_named(folders, monkeypatch):
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "nowhere"))
    with pytest.raises(StudyError, match=r"\$STUDYLIB_DATA is .*nowhere, which is not a folder"):
        load(Log(dataset="yelp"))


def test_yelp_says_where_to_get_it_and_where_to_put_it(folders):
    with pytest.raises(StudyError) as error:
        load(Log(dataset="yelp"))
    for what in (
        str(folders / "cache")[-30:],
        "salesforce/ICLRec",
        "yelp/Yelp.txt",
        "yelp_academic_dataset_review.json",
    ):
        assert what in str(error.value)


@pytest.mark.parametrize(("name", "hint"), [("grocerry", "grocery"), ("ml100k", "ml-100k"), ("syntetic", "synthetic")])
def test_an_unknown_name_gets_the_nearest_known_one(name, hint):
    with pytest.raises(StudyError, match=f"no data set '{name}'; did you mean '{hint}'"):
        load(Log(dataset=name))


def test_synthetic_is_generated_from_the_seed():
    log = Log(dataset="synthetic", synthetic=Synthetic(sessions=50, items=20))
    assert load(log, 1).checksum == load(log, 1).checksum != load(log, 2).checksum
    assert len(load(log)) == 50 and source_files(log) == {}


def test_a_path_of_the_users_own_is_read_and_its_files_are_named(folders):
    sha256 = put(folders / "log.csv", b"a|b\n")
    log = Log(reader="sequences", path=str(folders / "log.csv"))
    assert load(log).vocabulary.tolist() == ["a", "b"]
    assert source_files(log) == {str(folders / "log.csv"): sha256}


# downloading


class Server(BaseHTTPRequestHandler):
    files: dict[str, bytes]
    asked: list[str]

    def do_GET(self):
        self.asked.append(self.path)
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content) + 100 * self.path.startswith("/broken")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    """Serves files on loopback; returns its address and the list of what was asked for."""
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(proxy, raising=False)

    @contextlib.contextmanager
    def serve(files: dict[str, bytes], kind: type = Server, **attributes):
        handler = type("Handler", (kind,), {"files": files, "asked": [], **attributes})
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
            threading.Thread(target=http.serve_forever, daemon=True).start()
            yield f"http://127.0.0.1:{http.server_port}", handler.asked
            http.shutdown()

    return serve


def register(monkeypatch, downloads: dict[str, Download], **form) -> Log:
    log = Log(reader="sequences", path="shop/log.csv")
    monkeypatch.setitem(REGISTRY, "shop", Dataset((Form(log, downloads=downloads, **form),), source="a shop."))
    return Log(dataset="shop")


def sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def test_a_file_is_downloaded_once_and_then_taken_from_the_cache(server, monkeypatch, folders):
    content = b"a|b\nb|c\n"
    with server({"/log.csv": content}) as (address, asked):
        log = register(monkeypatch, {"shop/log.csv": Download(f"{address}/log.csv", sha256(content))})
        first, second = load(log), load(log)
    assert first.vocabulary.tolist() == ["a", "b", "c"] and first.checksum == second.checksum
    assert asked == ["/log.csv"]
    assert files_in(folders / "cache") == ["shop/log.csv", "shop/log.csv.sha256"]
    assert source_files(log) == {"shop/log.csv": hashlib.sha256(content).hexdigest()}


def test_the_wanted_file_of_an_archive_is_kept(server, monkeypatch, folders):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("set/README", "other")
        content.writestr("set/log.csv", "a|b\n")
    md5 = "md5:" + hashlib.md5(archive.getvalue()).hexdigest()
    with server({"/set.zip": archive.getvalue()}) as (address, _):
        log = register(monkeypatch, {"shop/log.csv": Download(f"{address}/set.zip", md5, member="set/log.csv")})
        assert load(log).vocabulary.tolist() == ["a", "b"]
    assert files_in(folders / "cache") == ["shop/log.csv", "shop/log.csv.sha256"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/log.csv", "the file there does not have the checksum sha256:"),
        ("/missing.csv", "the server answers 404 Not Found"),
        ("/broken.csv", "the connection broke off"),
    ],
)
def test_a_failed_download_says_what_went_wrong_and_leaves_nothing_behind(server, monkeypatch, folders, path, says):
    expected = b"a|b\n" if path == "/log.csv" else b"something else"
    with server({"/log.csv": b"something else", "/broken.csv": b"something else"}) as (address, asked):
        log = register(monkeypatch, {"shop/log.csv": Download(address + path, sha256(expected))})
        with pytest.raises(StudyError) as error:
            load(log)
    assert asked == [path] * 3  # it is tried again twice
    message = str(error.value)
    assert f"The download of {address}{path} failed: {says}" in message
    assert "put it at shop/log.csv in a folder of your choice and set $STUDYLIB_DATA" in message and "\n" not in message
    assert files_in(folders / "cache") == []


def test_without_a_network_the_address_is_named(server, monkeypatch, folders):
    with server({}) as (address, _):
        pass  # nobody listens there any more
    log = register(monkeypatch, {"shop/log.csv": Download(f"{address}/log.csv", None)})
    with pytest.raises(StudyError, match=f"{address}/log.csv failed: there is no connection to the server"):
        load(log)
    assert files_in(folders / "cache") == []


class Odd(Server):
    """Sends what no server should: too little, too much, for ever, or a byte now and then."""

    def do_GET(self):
        self.asked.append(self.path)
        headers = {
            "/short": b"Content-Length: 1000\r\n",
            "/long": b"Content-Length: 2\r\n",
            "/huge": b"Content-Length: 99999999999999\r\n",
            "/nonsense": b"Content-Length: -5\r\n",
            "/endless": b"",
            "/trickle": b"Content-Length: 1000\r\n",
        }
        with contextlib.suppress(OSError):
            if self.path == "/headers":
                self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
                while not self.stop.wait(0.05):
                    self.wfile.write(b"x")
                return
            if self.path == "/loop":
                self.wfile.write(b"HTTP/1.0 302 Found\r\nLocation: /loop\r\n\r\n")
                return
            self.wfile.write(b"HTTP/1.0 200 OK\r\n" + headers[self.path] + b"\r\n")
            if self.path == "/endless":
                while not self.stop.is_set():
                    self.wfile.write(b"a|b\n" * 16384)
            elif self.path == "/trickle":
                while not self.stop.wait(0.05):
                    self.wfile.write(b"a")
            else:
                self.wfile.write(b"a|b\nb|c\n")


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/short", "the connection broke off"),
        ("/long", "does not have the checksum"),
        ("/huge", "the connection broke off"),
        ("/nonsense", "connection"),
        ("/endless", "the file there has more than 1,000,000 bytes"),
        ("/trickle", "it was not done after 0.01 minutes"),
        ("/headers", "it was not done after 0.01 minutes"),
        ("/loop", "there is no connection"),
    ],
)
def test_a_server_that_lies_or_never_ends_is_one_sentence_and_leaves_nothing(server, monkeypatch, folders, path, says):
    monkeypatch.setattr(datasets, "LARGEST", 1_000_000)
    monkeypatch.setattr(datasets, "PATIENCE", 60.0 if "minutes" not in says else 0.6)
    stop = threading.Event()
    with server({}, Odd, stop=stop) as (address, _):
        log = register(monkeypatch, {"shop/log.csv": Download(address + path, sha256(b"a|b\nb|c\n"))})
        try:
            if path == "/nonsense":  # no length that one can believe: the content decides
                assert load(log).vocabulary.tolist() == ["a", "b", "c"]
                return
            with pytest.raises(StudyError, match=says) as error:
                load(log)
        finally:
            stop.set()
    assert len(str(error.value)) <= 300 and files_in(folders / "cache") == []


def test_a_damaged_archive_is_one_sentence(server, monkeypatch, folders):
    content = b"PK\x03\x04 no archive"
    with server({"/set.zip": content}) as (address, _):
        log = register(monkeypatch, {"shop/log.csv": Download(f"{address}/set.zip", sha256(content), member="log.csv")})
        with pytest.raises(StudyError, match="the archive there is damaged"):
            load(log)
    assert files_in(folders / "cache") == []


@pytest.mark.parametrize("damage", [b"", b"a|b\nb", b"a|b\nb|d\n", b"\0" * 8])
@pytest.mark.parametrize("known", ["kept", "registry"])
def test_a_damaged_file_of_the_cache_is_set_aside_and_downloaded_again(server, monkeypatch, folders, damage, known):
    content = b"a|b\nb|c\n"
    with server({"/log.csv": content}) as (address, asked):
        log = register(monkeypatch, {"shop/log.csv": Download(f"{address}/log.csv", sha256(content))})
        first = load(log)
        (folders / "cache/shop/log.csv").write_bytes(damage)
        if known == "registry":
            (folders / "cache/shop/log.csv.sha256").write_text("")
        with pytest.warns(UserWarning, match=r"log\.csv: is not as it was downloaded: set aside as log\.csv\.damaged"):
            assert load(log).checksum == first.checksum
        assert load(log).checksum == first.checksum and len(asked) == 2
    assert (folders / "cache/shop/log.csv.damaged").read_bytes() == damage


def test_a_downloaded_file_can_be_checked_with_sha256sum(server, monkeypatch, folders):
    content = b"a|b\nb|c\n"
    with server({"/log.csv": content}) as (address, _):
        load(register(monkeypatch, {"shop/log.csv": Download(f"{address}/log.csv", None)}, contents=None))
    kept = (folders / "cache/shop/log.csv.sha256").read_text()
    assert kept == f"{hashlib.sha256(content).hexdigest()}  log.csv\n"


def test_every_sentence_about_a_download_is_short(folders):
    for name, dataset in REGISTRY.items():
        for form in dataset.forms:
            for file, download in form.downloads.items():
                for what in ("does not have the checksum sha256:03…", "its events are not those of the data set"):
                    assert len(str(datasets._failed(f"the file there {what}", download, file))) <= 300, name
    with pytest.raises(StudyError) as error:
        load(Log(dataset="yelp"))
    assert len(str(error.value)) <= 300


def test_of_several_files_none_is_kept_unless_all_are_there(server, monkeypatch, folders):
    with server({"/a": b"x"}) as (address, _):
        log = register(
            monkeypatch,
            {"shop/log.csv": Download(f"{address}/a", sha256(b"x")), "shop/more.csv": Download(f"{address}/b", None)},
        )
        with pytest.raises(StudyError, match="404"):
            load(log)
    assert files_in(folders / "cache") == []


def with_positions_as_times(log: Log, path: Path) -> Sessions:
    sessions = read(log, path)
    return replace(sessions, times=np.arange(len(sessions.items), dtype=np.float64))


CONTENTS = checksum(np.array([0, 1, 1, 2], np.int32), np.array([0, 2, 4], np.int64), np.arange(4.0))


@pytest.mark.parametrize("content", [b"a|b\nb|c\n", b"x|y\ny|z\n"])
def test_a_download_without_a_known_checksum_is_verified_by_its_events(server, monkeypatch, folders, content):
    with server({"/log.csv": content}) as (address, _):
        download = {"shop/log.csv": Download(f"{address}/log.csv", None)}
        log = register(monkeypatch, download, prepare=with_positions_as_times, contents=CONTENTS)
        assert load(log).times.tolist() == [0, 1, 2, 3]
    assert files_in(folders / "cache") == ["shop/log.csv", "shop/log.csv.sha256"]


@pytest.mark.parametrize("content", [b"a|b\nb|a\n", b"a||b\n", b"<html>moved</html>"])
def test_a_download_with_other_events_is_not_used(server, monkeypatch, folders, content):
    with server({"/log.csv": content}) as (address, _):
        download = {"shop/log.csv": Download(f"{address}/log.csv", None)}
        log = register(monkeypatch, download, prepare=with_positions_as_times, contents=CONTENTS)
        with pytest.raises(StudyError, match="its events are not those of the data set"):
            load(log)
    assert files_in(folders / "cache") == []


def test_every_download_has_a_checksum_of_its_file_or_of_its_events():
    for dataset in REGISTRY.values():
        for form in dataset.forms:
            for download in form.downloads.values():
                assert download.hash or form.contents
                assert "/master/" not in download.url


# Grocery: two forms, one data set


def folder_of(sessions: Sessions, folder: Path) -> None:
    """Write sessions as a ReChorus folder with the candidates of its procedure, ids from 1, rows in order of time."""
    split = with_candidates(leave_one_out(sessions), 99, seed=0)
    parts = np.full(len(sessions.items), TRAIN)
    negatives = np.full(len(sessions.items), "", dtype=object)
    for part, cases in ((VALIDATION, split.validation), (TEST, split.test)):
        parts[cases.events] = part
        negatives[cases.events] = [str((row + 1).tolist()) for row in cases.candidates]
    table = pl.DataFrame(
        {
            "user_id": sessions.session_of_event + 1,
            "item_id": sessions.items + 1,
            "time": sessions.times.astype(np.int64),
            "neg_items": negatives.tolist(),
            "part": parts,
        }
    ).sort("time", "user_id", maintain_order=True)
    folder.mkdir(parents=True)
    for part, name in ((TRAIN, "train"), (VALIDATION, "dev"), (TEST, "test")):
        rows = table.filter(pl.col("part") == part).drop("part", *(["neg_items"] if part == TRAIN else []))
        rows.write_csv(folder / f"{name}.csv", separator="\t", quote_style="never")


def reviews_of(sessions: Sessions, file: Path, random: np.random.Generator) -> None:
    """Write sessions as Amazon's JSON lines: users mixed, a user's order of equal times kept, one review twice."""
    owners = np.argsort(random.random(len(sessions.items)))
    owners = sessions.session_of_event[owners]  # a random order of users, each as often as it has events
    position = sessions.offsets[:-1].copy()
    lines = []
    for user in owners.tolist():
        event = position[user]
        position[user] += 1
        review = {"reviewerID": f"A{user:06d}", "asin": f"B{sessions.items[event]:06d}", "reviewText": "good\nor not"}
        lines.append(json.dumps({**review, "unixReviewTime": int(sessions.times[event])}))
    lines.append(lines[len(lines) // 2])
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(gzip.compress("\n".join(lines).encode(), compresslevel=1))


def assert_same_data(a: Sessions, b: Sessions) -> None:
    for name in ("items", "offsets", "times"):
        assert getattr(a, name).dtype == getattr(b, name).dtype
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    np.testing.assert_array_equal(a.given.parts, b.given.parts)
    assert a.given.candidates.keys() == b.given.candidates.keys() == {VALIDATION, TEST}
    for part in (VALIDATION, TEST):
        np.testing.assert_array_equal(a.given.candidates[part], b.given.candidates[part])


@pytest.fixture
def shop() -> Sessions:
    """A small shop with many equal times, also between users."""
    random = np.random.default_rng(5)
    lengths = random.integers(5, 12, 60)
    items = np.concatenate([random.permutation(200)[:n] for n in lengths])
    days = np.concatenate([np.sort(random.integers(0, 6, n)) for n in lengths])
    users = np.repeat(np.arange(60), lengths)
    return Sessions.from_events(pl.DataFrame({"session": users, "item": items, "time": days * 86400}))


def test_both_forms_of_grocery_are_the_same_data(shop, folders, monkeypatch):
    folder_of(shop, folders / "folder/rechorus/Grocery_and_Gourmet_Food")
    reviews_of(shop, folders / "json/grocery/reviews_Grocery_and_Gourmet_Food_5.json.gz", np.random.default_rng(0))
    forms = {}
    for name in ("folder", "json"):
        monkeypatch.setenv("STUDYLIB_DATA", str(folders / name))
        forms[name] = load(Log(dataset="grocery"))
    assert_same_data(forms["folder"], forms["json"])
    assert forms["json"].drops == (Drop("repeated row (same user, item and time)", 0, 1),)
    assert forms["json"].vocabulary.dtype.kind == "U" and forms["folder"].vocabulary.dtype.kind == "i"
    split = split_as_given(forms["json"])
    assert len(split.test) == len(split.validation) == 60 and split.test.candidates.shape == (60, 99)


def test_both_forms_of_the_real_grocery_are_the_same_data(real, folders, monkeypatch):
    from_folder = load(Log(dataset="grocery"))
    file = folders / "json/grocery/reviews_Grocery_and_Gourmet_Food_5.json.gz"
    reviews_of(from_folder, file, np.random.default_rng(1))
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "json"))
    from_reviews = load(Log(dataset="grocery"))
    assert_same_data(from_folder, from_reviews)
    contents = REGISTRY["grocery"].forms[1].contents
    assert checksum(from_reviews.items, from_reviews.offsets, from_reviews.times) == contents


# the real sets


def test_grocery(real):
    sessions = load(Log(dataset="grocery"))
    assert (len(sessions.items), len(sessions), sessions.n_items) == (151_254, 14_681, 8_713)
    assert sessions.lengths.mean() == pytest.approx(10.3, abs=0.05)
    assert (sessions.lengths.min(), sessions.lengths.max()) == (5, 204)
    split = split_as_given(sessions)
    assert len(split.test) == len(split.validation) == 14_681
    assert (split.test.events == sessions.offsets[1:] - 1).all()
    assert (split.validation.events == sessions.offsets[1:] - 2).all()
    # The row that ReChorus's own notebook prints first: user 6185, item 762.
    first = split.test.events[np.searchsorted(split.test.session, 6185 - 1)]
    assert sessions.vocabulary[sessions.items[first]] == 762
    assert sessions.vocabulary[split.test.candidates[6185 - 1][:5]].tolist() == [2733, 3265, 4860, 7892, 4374]


def test_rechorus_candidates_are_drawn_again_exactly(real):
    sessions = load(Log(dataset="grocery"))
    drawn = with_candidates(leave_one_out(sessions), 99, seed=0)
    np.testing.assert_array_equal(drawn.test.candidates, sessions.given.candidates[TEST])
    np.testing.assert_array_equal(drawn.validation.candidates, sessions.given.candidates[VALIDATION])


def test_ml_100k(real, folders, monkeypatch):
    sessions = load(Log(dataset="ml-100k"))
    assert (len(sessions.items), len(sessions), sessions.n_items) == (100_000, 943, 1_682)
    assert np.bincount(sessions.given.parts).tolist() == [98_114, 943, 943]
    put(folders / "data/ml-100k/u.data", (real / "ml-100k/u.data").read_bytes())
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "data"))
    plain = load(Log(dataset="ml-100k"))
    np.testing.assert_array_equal(plain.offsets, sessions.offsets)
    np.testing.assert_array_equal(plain.vocabulary, sessions.vocabulary)
    assert plain.given is None and (plain.items != sessions.items).any()  # equal times


def test_yelp(real):
    sessions = load(Log(dataset="yelp"))
    assert (len(sessions), len(sessions.items), sessions.n_items) == (30_431, 316_354, 20_033)


def test_rsc15_100k(real):
    sessions = load(Log(dataset="rsc15-100k"))
    parts = sessions.given.parts
    of_session = [np.unique(parts[a:b]) for a, b in zip(sessions.offsets, sessions.offsets[1:], strict=False)]
    assert all(len(part) == 1 for part in of_session)  # so no id of a test session is one of train_full
    assert np.bincount(np.concatenate(of_session)).tolist() == [17_794 - 4_084, 4_084, 3_416]
    assert (parts != TEST).sum() == 70_278 and (parts == TEST).sum() == 13_568
    assert sessions.n_items == 2_933
    split = split_as_given(sessions)
    assert len(split.test) == 10_152
    assert len(source_files(Log(dataset="rsc15-100k"))) == 3


def test_ml_1m(real, folders, monkeypatch):
    sessions = load(Log(dataset="ml-1m"))
    assert (len(sessions), len(sessions.items), sessions.n_items) == (6_040, 1_000_209, 3_706)
    of_sasrec = apply_filters(sessions, Log(dataset="ml-1m", k_core=5))
    assert (len(of_sasrec), len(of_sasrec.items), of_sasrec.n_items) == (6_040, 999_611, 3_416)


@pytest.mark.parametrize(
    ("name", "counts"),
    [("amazon-sports", (35_598, 296_337, 18_357)), ("amazon-video-games", (31_013, 287_107, 23_715))],
)
def test_amazon(real, name, counts):
    sessions = load(Log(dataset=name))
    assert (len(sessions), len(sessions.items), sessions.n_items) == counts


def test_rsc15_64(real, folders, monkeypatch):
    packed = load(Log(dataset="rsc15-64"))
    learnt = packed.given.parts != TEST
    sessions = np.add.reduceat(np.ones_like(learnt, int), packed.offsets[:-1])[learnt[packed.offsets[:-1]]]
    assert (learnt.sum(), len(sessions), len(np.unique(packed.items[learnt]))) == (99_943, 24_761, 13_133)
    assert (~learnt).sum() == 7_299 and len(packed) - len(sessions) == 1_703
    assert len(np.unique(packed.session_of_event[packed.given.parts == VALIDATION])) == 1_366
    for file, upstream in zip(datasets._RSC15_64_PACKED, datasets._RSC15_64, strict=True):
        content = gzip.decompress((real / "rsc15-64" / file).read_bytes())
        download = REGISTRY["rsc15-64"].forms[1].downloads[f"rsc15-64/{upstream}"]
        assert sha256(content) == download.hash
        put(folders / "data" / "rsc15-64" / upstream, content)
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "data"))
    plain = load(Log(dataset="rsc15-64"))
    assert plain.checksum == packed.checksum and (plain.given.parts == packed.given.parts).all()


@pytest.mark.parametrize(
    ("name", "train", "test", "events", "items"),
    [
        ("yoochoose-1-64", 116_167, 15_324, 557_248, None),
        ("diginetica", 186_670, 15_963, 982_961, 43_097),
        ("retailrocket", 126_168, 4_775, 710_666, 36_968),
    ],
)
def test_sets_of_the_papers_on_graph_networks(real, name, train, test, events, items):
    sessions = load(Log(dataset=name))
    assert len(sessions) == train + test and len(sessions.items) == events and items in (None, sessions.n_items)
    first = sessions.given.parts[sessions.offsets[:-1]]
    assert (first[:train] != TEST).all() and (first[train:] == TEST).all()
    assert (first == VALIDATION).sum() == train // 10
    split = split_as_given(sessions)
    assert len(split.test) == (sessions.lengths[train:] - 1).sum() and len(split.final) == train


def test_a_file_of_sessions_to_learn_from_and_one_for_test(folders, monkeypatch):
    lines = [f"{n} {n + 1} {n + 2}" for n in range(20)]
    for name, content in (("train", "\n".join(lines) + "\n\n"), ("test", "3 99\n5 4 3\n")):
        put(folders / "data" / "diginetica" / f"{name}.txt.gz", gzip.compress(content.encode()))
    monkeypatch.setenv("STUDYLIB_DATA", str(folders / "data"))
    sessions = load(Log(dataset="diginetica"))
    assert [sessions.vocabulary[session].tolist() for session in (sessions[0], sessions[20], sessions[21])] == [
        [0, 1, 2],
        [3, 99],
        [5, 4, 3],
    ]
    assert np.bincount(sessions.given.parts).tolist() == [54, 6, 5] and sessions.drops == (Drop("blank line", 1, 0),)
    with pytest.raises(StudyError, match=r"YooChoose 1/64 .* at rsc15-1_64/ in \$STUDYLIB_DATA"):
        load(Log(dataset="yoochoose-1-64"))


def test_both_forms_of_video_games_are_the_same_data(folders, monkeypatch):
    put(folders / "lists/amazon/Video_Games.txt.gz", gzip.compress(b"1 7 9 8\n2 9 7\n10 8 7\n"))
    put(folders / "rows/amazon/Video.txt", b"1 7\n1 9\n1 8\n2 9\n2 7\n10 8\n10 7\n")
    forms = []
    for name in ("lists", "rows"):
        monkeypatch.setenv("STUDYLIB_DATA", str(folders / name))
        forms.append(load(Log(dataset="amazon-video-games")))
    assert forms[0].checksum == forms[1].checksum and len(forms[0]) == 3


def test_the_known_checksums_are_those_of_the_real_files(real):
    for name in ("live-streaming", "rsc15-100k"):
        files = source_files(Log(dataset=name))
        assert {file: d.hash for file, d in REGISTRY[name].forms[0].downloads.items()} == {
            file: f"sha256:{digest}" for file, digest in files.items()
        }
