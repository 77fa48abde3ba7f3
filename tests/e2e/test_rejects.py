"""A rejects file, mended by hand, is a source whose lines keep their old place."""

import csv
from pathlib import Path

from commands import event, pack, run


def test_a_mended_rejects_file_is_a_source(tmp_path: Path) -> None:
    name = "univx-edge-events-2014-10-02.log.gz"
    cut = event(7)[:-9]
    lines = [event(1), b"not an event\n", event(2), cut + b"\n", event(3)]
    (tmp_path / name).write_bytes(pack(b"".join(lines)))
    first = run("filter", name, "-o", "a.csv", "--rejects", "bad.txt", cwd=tmp_path)
    assert first.code == 0
    rejects = (tmp_path / "bad.txt").read_bytes()
    assert rejects.count(b"# edxlogs reject: ") == 2

    mended = rejects.replace(cut + b"\n", event(7)).replace(b"not an event\n", b"\n")
    (tmp_path / "mended.txt").write_bytes(mended)
    columns = "user_id,source,site,line"
    for threads in ("1", "4"):
        command = ("filter", "mended.txt", "--columns", columns, "-o", "b.csv", "--overwrite")
        again = run(*command, "--threads", threads, cwd=tmp_path)
        assert again.code == 0
        with (tmp_path / "b.csv").open(newline="") as file:
            assert list(csv.reader(file)) == [columns.split(","), ["7", name, "edge", "4"]]

    # What is still no event keeps its place, too.
    run("check", "bad.txt", "--rejects", "again.txt", cwd=tmp_path)
    assert (tmp_path / "again.txt").read_bytes() == rejects


def test_a_line_is_asked_for_its_own_site(tmp_path: Path) -> None:
    """Learner 1 of edge is not learner 1 of prod, in whatever file the lines came together."""
    for number, site in enumerate(("edge", "prod")):
        name = f"univx-{site}-events-2014-10-02.log"
        (tmp_path / name).write_bytes(b"lost its frame " + event(number)[1:])
    run("check", ".", "--rejects", "bad.txt", cwd=tmp_path)
    mended = (tmp_path / "bad.txt").read_bytes().replace(b"lost its frame ", b"{")
    assert mended.count(b'"site": ') == 2
    (tmp_path / "mended.txt").write_bytes(mended)
    for options, kept in [
        (["--site", "edge"], [0]),
        (["--site", "edx"], [1]),
        (["--exclude-site", "edge"], [1]),
        (["--site", "edge", "--site", "prod"], [0, 1]),
        (["--site", "elsewhere"], []),
        (["--site", "edge", "--event-type", "problem_check"], [0]),
    ]:
        done = run("filter", "mended.txt", *options, cwd=tmp_path)
        assert (done.code, done.stdout) == (0, b"".join(map(event, kept))), options
