"""The pictures of a comparison."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bench.report import draw

SVG = "{http://www.w3.org/2000/svg}"


def level(load: float, throughput: float, p50: float, p99: float) -> dict[str, Any]:
    told = {"buy_to_answer": {"p50": p50, "p99": p99}} if throughput else {"buy_to_answer": None}
    return {"load": {"clients": load, "rate": load}, "throughput": throughput, **told}


def test_how_speed_and_latency_go_with_the_load_is_drawn_for_each_contestant(tmp_path: Path) -> None:
    levels = {
        "ours": [level(1, 20.0, 0.03, 0.05), level(200, 40.0, 4.0, 9.0)],
        "dbos": [level(1, 21.0, 0.02, 0.04), level(200, 0.0, 0.0, 0.0)],
    }
    results = [{"who": who, "workload": "closed", "levels": each} for who, each in levels.items()]
    results.append({"who": "ours", "workload": "rates", "failed": "it did not start"})
    draw({"summary": {}, "results": results}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["closed.svg"]
    picture = ElementTree.parse(tmp_path / "closed.svg").getroot()
    points = [line.attrib["points"].split() for line in picture.iter(f"{SVG}polyline")]
    assert [len(each) for each in points] == [
        2,
        1,
        2,
        2,
        1,
        1,
    ]  # the speed of both; p50 and p99 of the one, of the other
    told = [text.text for text in picture.iter(f"{SVG}text")]
    assert {"customers at a time", "200", "checkouts a second", "Buy to answer, ms: p50, p99 dotted"} <= set(told)
    [slow, quick] = [float(each.split(",")[1]) for each in points[0]]
    assert slow > quick  # more is higher up
