"""`studylib serve`: a model that answers over HTTP.

``POST /recommend`` takes a session whole, or the id of a session that is kept here and what is new in it; ``GET /healthz`` says
that the model is there, ``GET /metrics`` counts, as Prometheus reads it. Requests that come while others are answered wait, and
are then answered together: a product of several vectors with the rows of a large catalogue takes little longer than one.

What visitors did is kept in memory alone, for some minutes; nothing of a request is logged, neither an id nor an address.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from studylib.errors import StudyError, extra, nearest, quoted
from studylib.models.base import Recommender, best_items
from studylib.models.visitor import Visitor, scores_of

with extra("serve"):
    import prometheus_client
    import uvicorn
    from fastapi import FastAPI, Request, Response

MOST_BYTES, MOST_EVENTS, MOST_ITEMS = 100_000, 200, 1000
"""Of a request: bytes of the body, events that it brings, items that it asks for."""
MOST_VISITED = 1000
"""The last events of a kept session whose items are left out of its lists."""
MOST_AT_ONCE = 64
"""Requests that are answered together."""
PATIENCE = 10.0
"""Seconds in which a body has to arrive."""

Id = str | int
SessionId = Annotated[str, Field(min_length=1, max_length=200)]


class Asked(BaseModel):
    """What a request asks for."""

    model_config = ConfigDict(extra="forbid", strict=True)

    items: Annotated[list[Id], Field(max_length=MOST_EVENTS)]
    """Of a session in the order of its events: all of them or, with ``session``, those that are new."""
    session: SessionId | None = None
    """The id of a session that is kept here from one request to the next; any text, such as a random one of the client's."""
    k: Annotated[int, Field(ge=1, le=MOST_ITEMS)] = 10
    exclude_visited: bool = True
    """Leave out the items of the session."""


class Answer(BaseModel):
    """The items likeliest to come next, best first, and what they are based on."""

    items: list[Id]
    scores: list[float]
    events: int
    """Of the session, known ones; fewer than the client knows of where a kept session was forgotten."""
    unknown: int
    """Of the request: events that were left out, because training never saw their items."""


_MUST_BE = {
    "items": f"must be a list of at most {MOST_EVENTS:,} ids, each a text or a whole number",
    "session": "must be a text of 1 to 200 letters",
    "k": f"must be a whole number from 1 to {MOST_ITEMS:,}",
    "exclude_visited": "must be true or false",
}


class Kept:
    """The visitors of the last minutes by the ids of their sessions; whoever was silent longest is forgotten first.

    Args:
        most: how many.
        seconds: of silence, after which a session is forgotten.
        forgotten: called with ``age`` or ``number`` for each that is.
        clock: the time in seconds.
    """

    def __init__(
        self,
        model: Recommender,
        most: int,
        seconds: float,
        forgotten: Callable[[str], None],
        clock: Callable[[], float],
    ):
        self.model, self.most, self.seconds, self.forgotten, self.clock = model, most, seconds, forgotten, clock
        self.last: OrderedDict[str, tuple[Visitor, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.last)

    def visitor(self, session: str) -> Visitor:
        """The visitor of a session, a new one where none is kept."""
        now = self.clock()
        while self.last and next(iter(self.last.values()))[1] < now - self.seconds:
            self._forget("age")
        visitor, _ = self.last.pop(session, (None, 0))
        if visitor is None and len(self.last) >= self.most:
            self._forget("number")
        visitor = visitor or Visitor(self.model)
        self.last[session] = visitor, now
        return visitor

    def _forget(self, why: str) -> None:
        self.last.popitem(last=False)
        self.forgotten(why)


class Metrics:
    """What is counted, none of it by visitor."""

    def __init__(self) -> None:
        self.registry = registry = prometheus_client.CollectorRegistry()
        self.requests = prometheus_client.Counter(
            "studylib_requests", "Requests to /recommend by status.", ["status"], registry=registry
        )
        self.seconds = prometheus_client.Histogram(
            "studylib_request_seconds", "Seconds from the whole request to the answer.", registry=registry,
            buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
        )  # fmt: skip
        self.unknown = prometheus_client.Counter(
            "studylib_unknown_events", "Events left out, never seen in training.", registry=registry
        )
        self.kept = prometheus_client.Gauge("studylib_sessions", "Sessions that are kept.", registry=registry)
        self.forgotten = prometheus_client.Counter(
            "studylib_sessions_forgotten", "Sessions forgotten, by why: age or number.", ["why"], registry=registry
        )


class Answering:
    """Answers requests, those that wait together, in a thread of its own, so that others arrive meanwhile.

    Only that thread touches the kept sessions.
    """

    def __init__(self, model: Recommender, kept: Kept):
        self.model, self.kept = model, kept
        # One thread an operation: with more, they wait for each other wherever anything else runs on the machine.
        self.thread = ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
        self.waiting: list[tuple[Asked, asyncio.Future[Answer]]] = []
        self.work: asyncio.Task | None = None

    async def answer(self, asked: Asked) -> Answer:
        """Wait for the answer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((asked, answer))
        if self.work is None:
            self.work = asyncio.create_task(self._answer_all())
        return await answer

    async def _answer_all(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting[:MOST_AT_ONCE], self.waiting[MOST_AT_ONCE:]
            work = asyncio.get_running_loop().run_in_executor(self.thread, self.answers, [asked for asked, _ in batch])
            try:
                answers = await work
            except Exception as error:
                for _, answer in batch:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            for (_, answer), found in zip(batch, answers, strict=True):
                if not answer.done():  # its client may have gone
                    answer.set_result(found)
        self.work = None

    def answers(self, batch: list[Asked]) -> list[Answer]:
        """The answers to several requests, the events of which happen in their order."""
        visitors, unknown = [], []
        for asked in batch:
            visitor = Visitor(self.model) if asked.session is None else self.kept.visitor(asked.session)
            unknown.append(sum(not visitor.visit(item) for item in asked.items))
            del visitor.visited[:-MOST_VISITED]
            visitors.append(visitor.copy())  # as it is now: the next request may be of the same session
        scores = scores_of(visitors)
        for row, (asked, visitor) in enumerate(zip(batch, visitors, strict=True)):
            if asked.exclude_visited:
                scores[row, visitor.visited] = -np.inf
        answers = []
        best = best_items(scores, max(asked.k for asked in batch))
        for asked, visitor, left_out, items, row in zip(batch, visitors, unknown, best, scores, strict=True):
            items = items[: asked.k]
            ids = self.model.vocabulary[items].tolist()
            answers.append(
                Answer.model_construct(items=ids, scores=row[items].tolist(), events=visitor.events, unknown=left_out)
            )
        return answers


def application(
    model: Recommender,
    most_sessions: int,
    minutes: float,
    aside: Callable[[str], None],
    clock: Callable[[], float] = time.monotonic,
) -> FastAPI:
    """The application of a model.

    Args:
        most_sessions: how many sessions are kept.
        minutes: of silence after which a session is forgotten.
        aside: takes a sentence about what went wrong, in which there is nothing of a request.
        clock: the time in seconds, by which sessions grow old.
    """
    metrics = Metrics()
    kept = Kept(model, most_sessions, 60 * minutes, lambda why: metrics.forgotten.labels(why).inc(), clock)
    metrics.kept.set_function(lambda: len(kept))
    answering = Answering(model, kept)
    answering.answers([Asked(items=[model.vocabulary[0].item()])])  # the first request would wait for the tables

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        answering.thread.shutdown()

    app = FastAPI(title="studylib", lifespan=lifespan, docs_url=None, redoc_url=None)
    schema = {"requestBody": {"content": {"application/json": {"schema": Asked.model_json_schema()}}, "required": True}}

    @app.post("/recommend", response_model=Answer, openapi_extra=schema)
    async def recommend(request: Request) -> Response:
        """The items likeliest to come next in a session."""
        started = time.perf_counter()
        status, content = await answered(request)
        metrics.requests.labels(str(status)).inc()
        metrics.seconds.observe(time.perf_counter() - started)
        return Response(json.dumps(content), status, media_type="application/json")

    async def answered(request: Request) -> tuple[int, dict[str, Any]]:
        try:
            async with asyncio.timeout(PATIENCE):
                body = await _body(request)
            if body is None:
                return 413, {"detail": f"The body has more than {MOST_BYTES:,} bytes; send the last events alone."}
            answer = await answering.answer(Asked.model_validate_json(body))
        except ValidationError as error:
            return 422, {"detail": _sentence(error)}
        except TimeoutError:
            return 408, {"detail": f"The body did not arrive in {PATIENCE:.0f} seconds; send it again."}
        except Exception as error:
            # Its message may have an id in it.
            place = error.__traceback__
            while place and place.tb_next:
                place = place.tb_next
            where = f" in {place.tb_frame.f_code.co_name}, line {place.tb_lineno}" if place else ""
            aside(f"a request failed: {type(error).__name__}{where}.")
            return 500, {
                "detail": "The request could not be answered; the server's log says what kind of error it was."
            }
        metrics.unknown.inc(answer.unknown)
        return 200, answer.model_dump()

    @app.get("/healthz")
    async def healthz() -> dict[str, Any]:
        """Whether the model is there, and which it is."""
        return {"status": "ok", "model": model.settings.label, "items": len(model.vocabulary)}

    @app.get("/metrics", response_class=Response)
    async def numbers() -> Response:
        """Counts and durations in the text format of Prometheus."""
        text = prometheus_client.generate_latest(metrics.registry)
        return Response(text, media_type=prometheus_client.CONTENT_TYPE_LATEST)

    return app


async def _body(request: Request) -> bytes | None:
    """None where there is more of it than is read."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            return None
    return body


def _sentence(error: ValidationError) -> str:
    """What is wrong with a body, without what it says."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"{field} is missing: it {_MUST_BE[field]}."
    if field in _MUST_BE:
        return f"{field} {_MUST_BE[field]}."
    if field:
        return f"There is no key {quoted(field, 40)}{nearest(field, _MUST_BE)}"
    return 'The body must be a JSON object such as {"items": ["a", "b"], "k": 10}.'


def serve(
    model: Recommender, host: str, port: int, most_sessions: int, minutes: float, aside: Callable[[str], None]
) -> None:
    """Answer until a signal ends it; what is being answered then is finished.

    Args:
        port: 0 takes a free one.
        most_sessions, minutes, aside: as in `application`; ``aside`` is also told the address.

    Raises:
        StudyError: the address cannot be had.
    """
    app = application(model, most_sessions, minutes, aside)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StudyError(f"{host}:{port} cannot be listened on ({reason}); take another --port or --host.") from None
    # The loop gets its turn sooner than after the usual 5 ms of the thread that answers.
    sys.setswitchinterval(0.001)
    shown = f"[{host}]" if ":" in host else host
    aside(f"http://{shown}:{listening.getsockname()[1]}/recommend answers until Ctrl-C.")
    # Of its log only what ends it: a traceback may have an id in it.
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, server_header=False, limit_concurrency=1000
    )
    uvicorn.Server(config).run([listening])
