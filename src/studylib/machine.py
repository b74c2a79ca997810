"""What a training ran on and with: processor, its instructions, packages, commit."""

from __future__ import annotations

import functools
import os
import platform
import subprocess
from importlib.metadata import distributions
from pathlib import Path

from studylib.paths import checkout

NUMERICAL = ("keras", "numpy", "scipy", "tensorflow", "torch")
"""The packages whose products and sums a trained network comes from."""

INSTRUCTIONS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd", "sve")
"""The sets of vector instructions by which libraries choose their code."""

SETTINGS = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "ONEDNN_MAX_CPU_ISA", "MKL_CBWR")
"""The environment variables by which a user makes libraries choose other code: the last digits can depend on them."""


@functools.cache
def packages() -> dict[str, str]:
    """Every installed package with its version, by name."""
    found = {(package.metadata["Name"] or "").lower(): package.version for package in distributions()}
    return dict(sorted(found.items()))


@functools.cache
def processor() -> str:
    """The processor's name, as the system says it."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@functools.cache
def instructions() -> str:
    """Those of `INSTRUCTIONS` that the processor has."""
    flags = (_cpuinfo("flags") or _cpuinfo("Features")).split()
    return " ".join(name for name in INSTRUCTIONS if name in flags)


def versions() -> dict[str, str]:
    """Those of Python and the packages of `NUMERICAL`, of the ones that are here."""
    return {
        "python": platform.python_version(),
        **{name: packages()[name] for name in NUMERICAL if name in packages()},
    }


def facts() -> dict[str, object]:
    """What a result says of the machine, the packages and the settings that made it."""
    return {
        "processor": processor(),
        "instructions": instructions(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "versions": versions(),
        "commit": commit(),
    }


@functools.cache
def commit() -> str:
    """The commit of the checkout, and whether files that numbers depend on have changed since."""

    folder = checkout()
    if folder is None:
        return "an installed package"

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "notebooks", "params")
        return git("rev-parse", "HEAD") + (" with uncommitted changes" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "not a git checkout"


def _cpuinfo(name: str) -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return line.split(":", 1)[1].strip()
    return ""
