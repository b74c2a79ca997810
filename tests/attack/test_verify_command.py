"""`studylib verify` on the quickstart."""

from tests.end_to_end.conftest import command, quickstart  # noqa: F401


def test_everything_comes_out_again(quickstart):  # noqa: F811
    """Tables, figures and page from what is kept, byte for byte; all trainings from nothing; and what is kept stays as it is."""
    folder = quickstart[0] / "quickstart"
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    done = command("verify", folder, "--all")  # without a limit of time
    assert done.code == 0, done.out + done.err
    *lines, said = done.out.splitlines()
    outcomes = dict(line.split("  ", 1) for line in lines)
    assert said == f"{len(outcomes)} of {len(outcomes)} come out again."
    published = [name for name, outcome in outcomes.items() if outcome.strip() == "the same bytes"]
    expected = ["claims.csv", "grid.csv", "grid_times.csv", "quickstart.html", "ranking.csv", "figures/best-cells.svg"]
    assert set(published) > set(expected)
    assert [name for name in outcomes if name.startswith(("cells/", "ranks/"))], "nothing was trained again"
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before
