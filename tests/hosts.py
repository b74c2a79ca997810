"""Several hosts on this machine: network namespaces on one bridge, each with a folder of its own and blind to the study's."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import studylib

ROOT = Path(__file__).parents[1]
ID = f"s{os.getpid()}"
"""Begins the name of everything here: two runs of the tests do not meet. An interface has at most 15 letters."""


@dataclass
class Host:
    """A host: its namespace, and the end of its cable that is at the bridge.

    Attributes:
        folder: where its processes start, with their home and temporary files.
        hidden: a folder of this machine that its processes see empty.
    """

    name: str
    cable: str
    address: str
    folder: Path
    hidden: Path
    processes: list[subprocess.Popen] = field(default_factory=list)

    def start(self, *command: str, **environment: str) -> subprocess.Popen:
        """Run a command on this host."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # `ip netns exec` gives the process mounts of its own as well.
        blind = 'mount -t tmpfs none "$HIDDEN" && exec "$@"'
        # How XLA compiles (conftest.py) decides the last digits.
        known = {name: os.environ[name] for name in ("PATH", "XLA_FLAGS")}
        known |= {"HIDDEN": str(self.hidden), "HOME": str(self.folder)}
        paths = f"{Path(studylib.__file__).parents[1]}:{ROOT}"
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                ["ip", "netns", "exec", f"{ID}-{self.name}", "sh", "-c", blind, "sh", *command],
                cwd=self.folder,
                env=known | {"TMPDIR": str(self.folder), "PYTHONPATH": paths} | environment,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def cut(self) -> None:
        """Pull the cable: no packet arrives, and nobody is told."""
        _ip("link", "set", self.cable, "down")

    def join(self) -> None:
        """Plug the cable in."""
        _ip("link", "set", self.cable, "up")

    # The other side of `gated`.

    def begun(self) -> list[str]:
        """The trainings that were begun here, in order."""
        file = self.folder / "begun"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def allow(self, number: int) -> None:
        """Let the first ``number`` trainings begun here go on."""
        (self.folder / "new").write_text(str(number), encoding="utf-8")
        (self.folder / "new").replace(self.folder / "allowed")

    def forget(self) -> None:
        """Nothing was begun here, and nothing is allowed."""
        for name in ("begun", "allowed"):
            (self.folder / name).unlink(missing_ok=True)


def gated(train: Callable, task: object, wanted: list) -> dict:
    """``train`` of a `studylib.kept.Work`, on a host that sees nothing of the study; it waits for `Host.allow`."""
    assert not list(Path(os.environ["HIDDEN"]).iterdir()), "the study's folder can be seen"
    with Path("begun").open("a", encoding="utf-8") as begun:
        begun.write(f"{task}\n")
    number = len(Path("begun").read_text(encoding="utf-8").splitlines())
    allowed = Path("allowed")
    while not allowed.exists() or int(allowed.read_text(encoding="utf-8")) < number:
        time.sleep(0.05)
    return train(task, wanted)


def until(condition: Callable[[], object]) -> None:
    """Wait, as long as the machine takes."""
    while not condition():
        time.sleep(0.1)


@contextlib.contextmanager
def network(names: list[str], folder: Path, hidden: Path) -> Iterator[dict[str, Host]]:
    """Hosts by name, each with a folder in ``folder``. Tests are skipped where this machine allows none."""
    if shutil.which("ip") is None:
        pytest.skip("no `ip` on this machine (iproute2): several hosts cannot be shown")
    bridge, subnet = f"{ID}b", f"10.213.{os.getpid() % 250}"
    hosts = {
        name: Host(name, f"{ID}v{number}", f"{subnet}.{number}", folder / name, hidden)
        for number, name in enumerate(names, start=2)
    }
    with contextlib.ExitStack() as stack:
        try:
            _ip("link", "add", bridge, "type", "bridge")
            stack.callback(_ip, "link", "del", bridge)
            _ip("addr", "add", f"{subnet}.1/24", "dev", bridge)
            _ip("link", "set", bridge, "up")
            for host in hosts.values():
                space = f"{ID}-{host.name}"
                _ip("netns", "add", space)
                stack.callback(_ip, "netns", "del", space)
                _ip("link", "add", host.cable, "type", "veth", "peer", "name", "eth0", "netns", space)
                _ip("link", "set", host.cable, "master", bridge, "up")
                _ip("-n", space, "addr", "add", f"{host.address}/24", "dev", "eth0")
                for link in ("lo", "eth0"):
                    _ip("-n", space, "link", "set", link, "up")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces on this machine: {error.stderr.strip()}")
        try:
            yield hosts
        finally:
            for host in hosts.values():
                for process in host.processes:
                    process.terminate()
                    process.wait()


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


STUDYLIB = [sys.executable, "-c", "from studylib.cli import main; main()"]
DASK_SCHEDULER = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
