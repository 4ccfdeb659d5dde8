import asyncio
from pathlib import Path

from stack.process import LONGEST_LINE, PartLog, lines


async def split(*chunks: bytes) -> list[str]:
    stream = asyncio.StreamReader(limit=LONGEST_LINE)
    for chunk in chunks:
        stream.feed_data(chunk)
    stream.feed_eof()
    return [line async for line in lines(stream)]


async def test_lines_come_out_whole_however_they_came_in() -> None:
    assert await split(b"one\ntw", b"o\r\n", b"thr") == ["one", "two", "thr"]


async def test_a_line_without_an_end_does_not_fill_the_memory() -> None:
    found = await split(b"x" * 200_000)
    assert sum(map(len, found)) == 200_000
    assert max(map(len, found)) <= 65_536


async def test_broken_text_is_kept_readable() -> None:
    assert await split(b"caf\xe9\n") == ["caf\ufffd"]


def test_a_log_never_takes_more_than_twice_its_limit(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "logs" / "part.log", limit=1_000)
    for number in range(1_000):
        log.write(f"line {number}")
    log.close()
    sizes = [file.stat().st_size for file in (tmp_path / "logs").iterdir()]
    assert len(sizes) == 2
    assert all(size <= 1_000 for size in sizes)
    assert (tmp_path / "logs" / "part.log").read_text().endswith("line 999\n")


def test_a_log_goes_on_where_the_last_run_ended(tmp_path: Path) -> None:
    for word in ("first", "second"):
        log = PartLog(tmp_path / "part.log")
        log.write(word)
        log.close()
    assert (tmp_path / "part.log").read_text() == "first\nsecond\n"


def test_the_tail_quotes_only_the_present_run(tmp_path: Path) -> None:
    log = PartLog(tmp_path / "part.log")
    log.write("before")
    log.tail.clear()
    for number in range(40):
        log.write(str(number))
    assert log.tail[-1] == "39"
    assert len(log.tail) < 20
    assert "before" not in log.tail
    log.close()
