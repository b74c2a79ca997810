"""Log files as plain text: unpacked, in UTF-8 with line feeds, without what no reader should meet.

Every reader of text begins here, so that a rule holds for all formats. A file that is plain already is read where it is; any
other becomes a temporary one.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from studylib.errors import StudyError, quoted, sentence

LONGEST_LINE = 8 << 20
"""Bytes of a line, at most: a session of a million ids has less."""
MOST_UNPACKED, ALWAYS_UNPACKED = 200, 64 << 20
"""What a packed file may unpack to: so many times its size (logs reach 5 to 50), and as many bytes in any case."""
STAND_IN = "\x1f"
"""ASCII's "unit separator", in the place of separators of several bytes, which no CSV parser takes."""

_BLOCK = 1 << 20
_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Text:
    """A log as plain text.

    Attributes:
        path: the log, for messages.
        file: where its plain text is.
    """

    path: Path
    file: Path

    def lines(self) -> Iterator[tuple[int, str]]:
        """Number and text of every line, with its line end, one by one.

        Raises:
            StudyError: a line is not UTF-8.
        """
        number = 0
        with self.file.open("rb") as file:
            try:
                for number, line in enumerate(file, 1):
                    yield number, line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"its byte {error.start + 1} is 0x{error.object[error.start]:02x}"
                raise self.error(
                    f"line {number} is not UTF-8 ({byte}); "
                    "save the file as UTF-8, for example with `iconv -f latin1 -t utf-8`."
                ) from None

    def error(self, what: str) -> StudyError:
        return StudyError(sentence(self.path, what))

    def bad_line(self, number: int, text: str, what: str) -> StudyError:
        return self.error(f"line {number} {what}: {quoted(text.rstrip(), 50)}; mend or remove the line.")


@contextmanager
def plain(path: Path, separator: str | None = None) -> Iterator[Text]:
    """A text file, perhaps packed with gzip, as plain text.

    A byte order mark is left out, lines that end with a carriage return alone end with a line feed.

    Args:
        separator: becomes `STAND_IN` if it has several bytes.

    Raises:
        StudyError: the file is damaged, is UTF-16, has a NUL or a line of more than `LONGEST_LINE` bytes, mixes line ends, or
            unpacks to more than `MOST_UNPACKED` times its size.
    """
    several = (separator or "").encode() if separator and len(separator.encode()) > 1 else b""
    with ExitStack() as stack:
        survey = _Survey(path, STAND_IN.encode() if several else None)
        file = path
        if _is_packed(path):
            file = stack.enter_context(_temporary(path, survey.pass_on(_blocks(path))))
        else:
            for _ in survey.pass_on(_blocks(path)):
                pass
        if survey.mark or survey.lone or several:
            replace = [(b"\r", b"\n")] if survey.lone else []
            replace += [(several, STAND_IN.encode())] if several else []
            file = stack.enter_context(_temporary(path, _rewritten(_blocks(file), replace)))
        text = Text(path, file)
        try:
            yield text
        except pl.exceptions.PolarsError:
            for _ in text.lines():  # finds what is not UTF-8
                pass
            raise


class _Survey:
    """Looks at the blocks of a file as they pass.

    Attributes:
        mark: whether the file begins with a byte order mark.
        lone: carriage returns that no line feed follows.
    """

    def __init__(self, path: Path, forbidden: bytes | None) -> None:
        self.path, self.forbidden = path, forbidden
        self.mark = False
        self.lone = self.feeds = self.length = self.seen = 0

    def pass_on(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        for block in blocks:
            self._look_at(block)
            yield block
            self.seen += len(block)
        if self.lone and self.feeds:
            lone, position = re.compile(rb"\r(?!\n)"), 0
            for block in _blocks(self.path):
                if found := lone.search(block):
                    break
                position += len(block)
            raise self._error(
                position + (found.start() if found else 0),
                "ends with a carriage return alone, others do not",
                "line ends",
            )

    def _look_at(self, block: bytes) -> None:
        if not self.seen:
            self.mark = block.startswith(_MARK)
            if block.startswith((b"\xff\xfe", b"\xfe\xff")) or block[:400].count(0) > len(block[:400]) // 3:
                raise StudyError(
                    sentence(
                        self.path,
                        "is no text or is UTF-16; save it as UTF-8, for example with `iconv -f utf-16 -t utf-8`.",
                    )
                )
        if (nul := block.find(0)) >= 0:
            raise self._error(self.seen + nul, "has a NUL character, which no id can have", "file")
        if self.forbidden and (found := block.find(self.forbidden)) >= 0:
            raise self._error(self.seen + found, f"has the control character {self.forbidden!r}", "separators")
        ends = block.count(b"\r\n") if b"\r" in block else 0
        lone = block.count(b"\r") - ends if b"\r" in block else 0
        self.lone += lone
        first, last = block.find(b"\n"), block.rfind(b"\n")
        self.feeds += last >= 0
        if lone:
            first = block.find(b"\r") if first < 0 else min(first, block.find(b"\r"))
            last = max(last, block.rfind(b"\r"))
        if self.length + (first if first >= 0 else len(block)) > LONGEST_LINE:
            raise self._error(self.seen, f"is longer than {LONGEST_LINE >> 20} MB", "line ends and the separator")
        self.length = len(block) - last - 1 if last >= 0 else self.length + len(block)

    def _error(self, position: int, what: str, check: str) -> StudyError:
        """The line is counted only now that it is needed."""
        number = 1
        for block in _blocks(self.path):
            number += block[:position].count(b"\n")
            position -= len(block)
            if position <= 0:
                break
        return StudyError(sentence(self.path, f"line {number} {what}; check the {check}."))


def _is_packed(path: Path) -> bool:
    """Whether a file is gzip, by its first two bytes."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def _blocks(path: Path) -> Iterator[bytes]:
    """The bytes of a file, unpacked, in blocks that do not part a carriage return from its line feed."""
    unpacked = 0
    with path.open("rb") as raw, ExitStack() as stack:
        size = os.fstat(raw.fileno()).st_size
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = stack.enter_context(gzip.GzipFile(fileobj=raw)) if packed else raw
        try:
            while block := file.read(_BLOCK):
                while block.endswith(b"\r") and (more := file.read(1)):
                    block += more
                unpacked += len(block)
                if packed and unpacked > MOST_UNPACKED * size + ALWAYS_UNPACKED:
                    raise StudyError(
                        sentence(
                            path,
                            f"unpacks to more than {MOST_UNPACKED} times its size, as no log does; "
                            "unpack it yourself if you trust it.",
                        )
                    )
                yield block
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise StudyError(
                sentence(path, f"the gzip file is damaged after {unpacked:,} bytes ({error}); get it again.")
            ) from None


def _rewritten(blocks: Iterator[bytes], replace: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """The blocks without a byte order mark and with some bytes replaced; none of these has a part of two lines."""
    rest = None
    for block in blocks:
        rest = block.removeprefix(_MARK) if rest is None else rest + block
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r")) + 1
        yield _replaced(rest[:end], replace)
        rest = rest[end:]
    yield _replaced(rest or b"", replace)


def _replaced(block: bytes, replace: list[tuple[bytes, bytes]]) -> bytes:
    for old, new in replace:
        block = block.replace(old, new)
    return block


@contextmanager
def _temporary(path: Path, blocks: Iterator[bytes]) -> Iterator[Path]:
    """A temporary file of the blocks."""
    with tempfile.NamedTemporaryFile(prefix="studylib-", suffix=".txt") as file:
        for block in blocks:
            try:
                file.write(block)
            except OSError as error:
                raise _no_room(path, error) from None
        try:
            file.flush()
        except OSError as error:
            raise _no_room(path, error) from None
        yield Path(file.name)


def _no_room(path: Path, error: OSError) -> StudyError:
    return StudyError(
        sentence(path, f"there is no room to unpack it in {tempfile.gettempdir()} ({error.strerror}); set $TMPDIR.")
    )
