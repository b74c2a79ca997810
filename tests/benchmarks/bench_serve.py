"""A model of 100,000 items that answers over HTTP, under load from a second process over loopback.

The model is GRU4Rec in its default sizes with the weights it begins with, for which time is the same as after a training. Half of
the requests bring a session of 1 to 10 events whole, half a kept session's next event; each asks for ten items. They are sent at
moments drawn beforehand, 520 a second on average, whether or not earlier ones were answered, and what a request takes counts from
its moment. Fails where fewer than 500 a second are answered, or one of a hundred takes more than 20 ms. Then, without a limit: as
many a second as 16 connections get.
"""

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ITEMS, RATE, WARM, SECONDS, CONNECTIONS = 100_000, 520, 2, 10, 64
LEAST_RATE, MOST_MILLISECONDS = 500, 20.0


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.safetensors"
        generate(path)
        command = [sys.executable, "-m", "studylib", "serve", str(path), "--port", "0"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            try:
                port = int(server.stderr.readline().rpartition("/recommend")[0].rpartition(":")[2])
                process = psutil.Process(server.pid)
                before = process.cpu_times()
                loaded = subprocess.run(
                    [sys.executable, __file__, str(port)], capture_output=True, text=True, check=True
                )
                after = process.cpu_times()
            finally:
                server.terminate()
    measured = json.loads(loaded.stdout)
    print(f"load of the machine before: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        f"{measured['rate']:,.0f} requests/s at {RATE} sent (at least {LEAST_RATE}): {measured['p50']:.1f} ms at the median, "
        f"{measured['p99']:.1f} ms at the 99th percentile (at most {MOST_MILLISECONDS} ms), {measured['longest']:.1f} ms at most"
    )
    print(
        f"as many as 16 connections get: {measured['most']:,.0f} requests/s, {measured['most_p99']:.1f} ms at the 99th percentile"
    )
    spent = 1000 * (after.user + after.system - before.user - before.system) / measured["requests"]
    print(f"the server's processor time: {spent:.2f} ms a request")
    if measured["rate"] < LEAST_RATE or measured["p99"] > MOST_MILLISECONDS:
        sys.exit("bench_serve: over the limit")


def generate(path: Path) -> None:
    import numpy as np

    from studylib.data.sessions import Sessions
    from studylib.models import files
    from studylib.models.gru4rec import GRU4Rec

    model = GRU4Rec(device="cpu")
    model.vocabulary, model.popularity = np.arange(ITEMS), np.arange(ITEMS)[::-1].copy()
    model.trained_on = Sessions.from_lists([["a"]]).checksum
    model.network = model.build(ITEMS)
    files.save(model, path)


def request(draw: random.Random) -> bytes:
    if draw.random() < 0.5:
        asked = {"items": [draw.randrange(ITEMS) for _ in range(draw.randint(1, 10))]}
    else:
        asked = {"session": f"s{draw.randrange(5000)}", "items": [draw.randrange(ITEMS)]}
    body = json.dumps(asked).encode()
    return b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


class Connection(asyncio.Protocol):
    """One request at a time, by little more than the system's calls, for the load's processor is the server's too."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport, self.came = transport, b""

    def ask(self, content: bytes) -> asyncio.Future:
        """The body of the answer."""
        self.answer = asyncio.get_running_loop().create_future()
        self.transport.write(content)
        return self.answer

    def data_received(self, data: bytes) -> None:
        self.came += data
        head, _, body = self.came.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) == int(length[1]):
            self.came = b""
            self.answer.set_result(body if head.startswith(b"HTTP/1.1 200") else head)


async def load(port: int) -> dict[str, float]:
    draw = random.Random(0)
    free: asyncio.Queue = asyncio.Queue()
    for _ in range(CONNECTIONS):
        _, connection = await asyncio.get_running_loop().create_connection(Connection, "127.0.0.1", port)
        free.put_nowait(connection)
    took: list[float] = []

    async def one(content: bytes, moment: float) -> None:
        connection = await free.get()
        body = await connection.ask(content)
        assert body.startswith(b'{"items"') and body.count(b",") > 20, body
        free.put_nowait(connection)
        took.append(time.perf_counter() - moment)

    async def at_moments(seconds: float) -> float:
        took.clear()
        moment = began = time.perf_counter()
        sent = []
        while moment < began + seconds:
            moment += draw.expovariate(RATE)
            await asyncio.sleep(max(0, moment - time.perf_counter()))
            sent.append(asyncio.create_task(one(request(draw), moment)))
        await asyncio.gather(*sent)
        return len(took) / (time.perf_counter() - began)

    await at_moments(WARM)
    rate = await at_moments(SECONDS)
    found = {
        "requests": WARM * RATE + len(took),
        "rate": rate,
        "p50": at(took, 0.5),
        "p99": at(took, 0.99),
        "longest": at(took, 1),
    }

    async def without_a_pause(until: float) -> None:
        while (moment := time.perf_counter()) < until:
            await one(request(draw), moment)

    took.clear()
    until = time.perf_counter() + 5
    await asyncio.gather(*(without_a_pause(until) for _ in range(16)))
    found["requests"] += len(took)
    return {**found, "most": len(took) / 5, "most_p99": at(took, 0.99)}


def at(took: list[float], share: float) -> float:
    """Milliseconds."""
    return 1000 * sorted(took)[min(len(took) - 1, int(share * len(took)))]


if __name__ == "__main__":
    if len(sys.argv) == 1:
        main()
    else:
        print(json.dumps(asyncio.run(load(int(sys.argv[1])))))
