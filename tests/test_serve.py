"""A model over HTTP: answers are those of `recommend`, sessions are kept and forgotten, nothing of a request is logged."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import numpy as np
import pytest
from fastapi.testclient import TestClient

from studylib import serve
from studylib.data.sessions import Sessions
from studylib.errors import StudyError
from studylib.models import files
from studylib.models.baselines import Markov
from studylib.models.gru4rec import GRU4Rec

LOG = Sessions.from_lists([[f"p{(start + 3 * step) % 20}" for step in range(6)] for start in range(20)])
MARKOV = Markov().fit(LOG)
RECURRENT = GRU4Rec(device="cpu", embedding=8, hidden=12, negatives=0, max_epochs=2).fit(LOG)


class Server:
    """A client of an application, with a clock to turn and what was said."""

    def __init__(self, model, most_sessions=10, minutes=30):
        self.now, self.said = 0.0, []
        self.app = serve.application(model, most_sessions, minutes, self.said.append, lambda: self.now)
        self.client = TestClient(self.app)

    def ask(self, **asked):
        answer = self.client.post("/recommend", json=asked)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def metric(self, name):
        text = self.client.get("/metrics").text
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, flags=re.M)[1])


@pytest.mark.parametrize("model", [MARKOV, RECURRENT], ids=["markov", "gru4rec"])
def test_a_session_sent_whole_gets_what_recommend_gives(model):
    server = Server(model)
    for session in (["p1"], ["p3", "p6", "p9"], []):
        for options in ({}, {"k": 3}, {"exclude_visited": False}):
            expected = model.recommend(session, **options, scores=True)
            found = server.ask(items=session, **options)
            assert found["items"] == [item for item, _ in expected]
            np.testing.assert_allclose(found["scores"], [score for _, score in expected], atol=1e-5)
            assert (found["events"], found["unknown"]) == (len(session), 0)
    assert server.metric("studylib_sessions") == 0  # nothing of them is kept


@pytest.mark.parametrize("model", [MARKOV, RECURRENT], ids=["markov", "gru4rec"])
def test_a_kept_session_goes_on_where_it_was(model):
    server = Server(model)
    assert server.ask(session="one", items=["p3"])["events"] == 1
    server.ask(session="two", items=["p9"])
    found = server.ask(session="one", items=["p6", "nowhere", "p9"])
    assert found["items"] == model.recommend(["p3", "p6", "p9"]) and (found["events"], found["unknown"]) == (3, 1)
    assert server.ask(session="two", items=[])["items"] == model.recommend(["p9"])
    assert server.metric("studylib_sessions") == 2 and server.metric("studylib_unknown_events_total") == 1


def test_a_session_is_forgotten_after_its_silence_and_the_most_silent_where_there_are_too_many():
    server = Server(MARKOV, most_sessions=2, minutes=1)
    for session in ("one", "two"):
        server.ask(session=session, items=["p1"])
        server.now += 40
    assert server.ask(session="two", items=["p2"])["events"] == 2  # 40 seconds old, and "one" is gone at 80
    assert (
        server.metric('studylib_sessions_forgotten_total{why="age"}') == 1 and server.metric("studylib_sessions") == 1
    )
    assert server.ask(session="one", items=["p1"])["events"] == 1
    server.ask(session="two", items=[])
    server.ask(session="three", items=["p1"])
    assert server.metric('studylib_sessions_forgotten_total{why="number"}') == 1
    assert server.ask(session="two", items=["p2"])["events"] == 3
    assert server.ask(session="one", items=["p2"])["events"] == 1


def test_a_kept_session_has_a_bound_on_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr(serve, "MOST_VISITED", 2)
    server = Server(MARKOV)
    found = server.ask(session="long", items=["p1", "p2", "p3"], k=20)
    assert found["events"] == 3 and "p1" in found["items"] and not {"p2", "p3"} & set(found["items"])


def answering(model):
    return serve.Answering(model, serve.Kept(model, 10, 60, lambda why: None, lambda: 0.0))


def test_two_requests_of_one_session_at_once_each_see_their_moment():
    batch = [serve.Asked(session="s", items=["p3"], k=2), serve.Asked(items=[]), serve.Asked(session="s", items=["p6"])]
    first, popular, second = answering(RECURRENT).answers(batch)
    assert first.items == RECURRENT.recommend(["p3"], 2) and second.items == RECURRENT.recommend(["p3", "p6"])
    assert popular.items == RECURRENT.recommend([])


def test_what_waits_is_answered_together_and_one_failure_fails_no_later_request(monkeypatch):
    at_work, sizes = answering(MARKOV), []
    answers = at_work.answers

    def noting(batch):
        sizes.append(len(batch))
        if len(sizes) == 2:
            raise KeyError("p1")
        return answers(batch)

    monkeypatch.setattr(at_work, "answers", noting)

    async def five_and_one():
        asked = serve.Asked(items=["p1"])
        first = await asyncio.gather(*(at_work.answer(asked) for _ in range(5)))
        failed = await asyncio.gather(at_work.answer(asked), return_exceptions=True)
        return first, failed, await at_work.answer(asked)

    first, failed, last = asyncio.run(five_and_one())
    assert sizes == [5, 1, 1] and [answer.items for answer in first] == [MARKOV.recommend(["p1"])] * 5
    assert isinstance(failed[0], KeyError) and last.items == first[0].items


@pytest.mark.parametrize(
    "body, said",
    [
        (b"", "The body must be a JSON object"),
        (b"{", "The body must be a JSON object"),
        (b"\xff", "The body must be a JSON object"),
        (b"[" * 5000, "The body must be a JSON object"),
        (b'["p1"]', "The body must be a JSON object"),
        (b"{}", "items is missing: it must be a list of at most 200 ids"),
        (b'{"items": "p1"}', "items must be a list"),
        (b'{"items": [null]}', "items must be a list"),
        (b'{"items": [true]}', "items must be a list"),
        (json.dumps({"items": ["p1"] * 201}).encode(), "items must be a list of at most 200"),
        (b'{"items": [], "k": 0}', "k must be a whole number from 1 to 1,000"),
        (b'{"items": [], "k": 1e9}', "k must be a whole number"),
        (b'{"items": [], "k": "3"}', "k must be a whole number"),
        (b'{"items": [], "session": ""}', "session must be a text of 1 to 200 letters"),
        (b'{"items": [], "session": 7}', "session must be a text"),
        (b'{"items": [], "exclude_visited": 1}', "exclude_visited must be true or false"),
        (b'{"items": [], "sesion": "a"}', "There is no key 'sesion'; did you mean 'session'?"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_422_with_a_sentence(body, said):
    server = Server(MARKOV)
    answer = server.client.post("/recommend", content=body)
    assert answer.status_code == 422 and answer.json()["detail"].startswith(said)
    assert len(answer.json()["detail"]) <= 300
    assert server.metric('studylib_requests_total{status="422"}') == 1 and server.said == []


def test_a_body_that_is_too_large_or_too_slow_is_not_waited_for(monkeypatch):
    server = Server(MARKOV)
    answer = server.client.post("/recommend", content=b" " * (serve.MOST_BYTES + 1))
    assert answer.status_code == 413 and "more than 100,000 bytes" in answer.json()["detail"]
    monkeypatch.setattr(serve, "PATIENCE", 0.01)
    sent = []

    async def slow():
        await asyncio.sleep(60)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/recommend", "headers": [], "query_string": b""}
    asyncio.run(server.app(scope, slow, send))
    assert sent[0]["status"] == 408


def test_an_error_is_500_and_says_nothing_of_the_request(monkeypatch):
    server = Server(MARKOV)
    monkeypatch.setattr(MARKOV, "score", lambda prefixes: {}["a secret"])
    answer = server.client.post("/recommend", json={"items": ["p1"]})
    assert answer.status_code == 500 and "secret" not in answer.text
    assert re.fullmatch(r"a request failed: KeyError in <lambda>, line \d+\.", server.said[0])


def test_health_and_metrics():
    server = Server(RECURRENT)
    assert server.client.get("/healthz").json() == {"status": "ok", "model": "gru4rec", "items": 20}
    server.ask(items=["p1"])
    assert server.metric('studylib_requests_total{status="200"}') == 1
    assert server.metric("studylib_request_seconds_count") == 1
    assert server.client.get("/metrics").headers["content-type"].startswith("text/plain")
    assert server.client.get("/recommend").status_code == 405
    schema = server.client.get("/openapi.json").json()["paths"]["/recommend"]["post"]["requestBody"]
    assert set(schema["content"]["application/json"]["schema"]["properties"]) == set(serve.Asked.model_fields)


def test_an_address_that_is_taken_is_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StudyError, match=r"cannot be listened on"):
        serve.serve(MARKOV, "127.0.0.1", taken.getsockname()[1], 1, 1, print)


def test_the_command_answers_and_its_log_has_nothing_of_the_requests(tmp_path):
    files.save(MARKOV, tmp_path / "markov.safetensors")
    command = [sys.executable, "-m", "studylib", "serve", str(tmp_path / "markov.safetensors"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = re.search(r"http://127\.0\.0\.1:\d+/recommend", process.stderr.readline())[0]
            asked = urllib.request.Request(address, json.dumps({"items": ["p3"], "session": "who"}).encode())
            with urllib.request.urlopen(asked, timeout=60) as answer:
                assert json.load(answer)["items"] == MARKOV.recommend(["p3"])
                assert "server" not in answer.headers
            with pytest.raises(urllib.error.HTTPError):
                urllib.request.urlopen(f"{address}/who", timeout=60)
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
        assert process.stdout.read() == "" and process.stderr.read() == ""
