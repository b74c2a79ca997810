"""Where things are: the project's root, the reports, and names that are parts of a file's name; and writing in one piece."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from pathlib import Path

from studylib.errors import StudyError


def slug(label: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")


def project_root() -> Path:
    """The folder that holds ``notebooks/`` and ``params/``; where relative paths of a params file start."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "notebooks").is_dir() else Path.cwd()


def reports_root() -> Path:
    """``reports/`` of the project, or the folder that `studylib run --reports` names (``$STUDYLIB_REPORTS``)."""
    return Path(os.environ.get("STUDYLIB_REPORTS") or project_root() / "reports").resolve()


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all: beside its place first, then renamed into it. Its folder is made.

    Args:
        content: text, written as UTF-8 with line feeds, or bytes.

    Raises:
        StudyError: there is no room, or the folder may not be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    beside = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
        beside = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_UMASK)
        beside.replace(path)
    except BaseException as error:
        if beside is not None:
            with contextlib.suppress(OSError):
                beside.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from None
        raise


def unwritable(path: Path, error: OSError) -> StudyError:
    """What to say where a file or folder cannot be written."""
    reason = error.strerror or type(error).__name__
    return StudyError(
        f"{path}: cannot be written ({reason}); make room or choose another folder (--reports). What is finished is kept."
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


_UMASK = _umask()
"""What new files may not allow; `mkstemp` allows nobody else anything."""
