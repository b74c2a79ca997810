"""Where files are: the project's root, the reports, labels in file names; and writing atomically."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from studylib.errors import StudyError, sentence

if TYPE_CHECKING:
    import pandas as pd


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file that is written anew with every run; empty where there is none, or it is damaged."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def times_of(table: Path) -> Path:
    """Where the durations that belong to a table are: ``grid_times.csv`` beside ``grid.csv``."""
    return table.with_stem(f"{table.stem}_times")


def slug(label: str) -> str:
    """A label in a form that is safe in a file name: at most 100 characters, and at least one.

    Example:
        >>> slug("GRU4Rec, as printed"), slug("$")
        ('gru4rec-as-printed', '09fc96082d')
    """
    safe = re.sub(r"[^a-z0-9]+", "-", label.lower()).strip("-")
    if 0 < len(safe) <= 100:
        return safe
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:10]
    return f"{safe[:89]}-{digest}" if safe else digest


def checkout() -> Path | None:
    """The folder of the repository that the library is run from; None where it is installed as a package."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / "notebooks").is_dir() else None


def project_root() -> Path:
    """Where relative paths of a params file start and ``reports/`` is: the checkout, or else the current folder."""
    return checkout() or Path.cwd()


def carried(path: Path) -> Path:
    """A path below ``notebooks/`` or ``params/``, from the project's root; or the file that the package has there, where the
    project has none.
    """
    of_package = Path(__file__).parent / "project" / path
    # `os.path.exists`, unlike that of a `Path`, is false for what is no name of a file.
    return of_package if os.path.exists(of_package) and not os.path.exists(project_root() / path) else path


def as_typed(file: str | Path) -> Path:
    """How a person names a file in the project's root: relative to it where the file is below it, else as it was given."""
    with contextlib.suppress(ValueError):
        return Path(file).resolve().relative_to(project_root().resolve())
    return Path(file)


def reports_root() -> Path:
    """``reports/`` of the project, or the folder that `studylib run --reports` names (``$STUDYLIB_REPORTS``)."""
    return Path(os.environ.get("STUDYLIB_REPORTS") or project_root() / "reports").resolve()


def located(path: str, name: str) -> Path:
    """The absolute form of a path that a user gave: ``~`` is a home, a relative path starts at the project's root.

    Args:
        name: what the path is called where the user gave it, for messages.

    Raises:
        StudyError: no file can be there: the user of a ``~user`` does not exist, or the path is too long or has a NUL.
    """
    try:
        full = project_root() / Path(path).expanduser()
        os.stat(full)
    except FileNotFoundError:
        pass
    except (RuntimeError, ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error).rstrip(".")
        raise StudyError(sentence(path, f"is no path of a file ({reason}); check {name!r}.")) from None
    return full


def write(path: Path, content: str | bytes) -> None:
    """Write a file atomically: to a temporary file beside its place, then renamed. Its folder is made.

    Args:
        content: text, written as UTF-8 with line feeds, or bytes.

    Raises:
        StudyError: there is no room, or the folder may not be written to.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:100]}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_UMASK)
        temporary.replace(path)
    except BaseException as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()
        if isinstance(error, OSError):
            raise unwritable(path, error) from None
        raise


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, atomically, without its index, numbers with six digits."""
    write(path, table.to_csv(index=False, float_format="%.6g"))


def remove_torn(folder: Path) -> None:
    """Remove what `write` left below a folder where its process was killed."""
    for part in folder.rglob(".*.part"):
        part.unlink(missing_ok=True)


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
"""The umask of the process: `mkstemp` gives access to nobody else, and a written file gets the usual mode."""
