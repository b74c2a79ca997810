"""What a study keeps is read and not trained, and its claims have both verdicts."""

from pathlib import Path

import pandas as pd
import pytest

from studylib.errors import StudyError
from studylib.evaluation.claims import COLUMNS, SHRIMAL, TOLEDO, WITHOUT_COLLAPSED, Part, above, not_tested, row
from studylib.papers.results import read_results, read_table, shown_claims
from studylib.params.files import study_params


def test_nothing_is_trained_where_a_result_is_missing(monkeypatch, tmp_path):
    monkeypatch.setattr("studylib.kept.fan_out", lambda *arguments: pytest.fail("it trains"))

    def path(name: str, notebook: str) -> Path:
        (tmp_path / name).touch()
        return tmp_path / name

    log = {"dataset": "synthetic", "synthetic": {"sessions": 60, "items": 20}}
    with pytest.raises(StudyError, match="run notebook 02_grid_training"):
        read_results(study_params({"data": log}), tmp_path, path)


def test_labels_are_text_whatever_they_read_as(tmp_path):
    labels = ["nan", "007", "NA", "", "1e3", "a,b", 'a"b']
    table = pd.DataFrame({"dataset": labels, "model": labels[::-1], "mean": [0.5, *[float("nan")] * 6]})
    table.to_csv(tmp_path / "table.csv", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "table.csv"), table)


def test_a_reader_sees_both_verdicts_with_their_intervals():
    parts = [Part("", 0.2, 0.1, 0.3)]
    claims = pd.DataFrame(
        [
            row(TOLEDO, "a is best", "section 3", parts, 7, "a less b", above(), "grid", [Part("", 0.0, -0.1, 0.1)]),
            row(TOLEDO, "a wins", "section 3", parts, 7, "share", above(), "scenarios"),
            not_tested(SHRIMAL, "c", "Table 3", "studylib run params/ml-1m.yaml"),
        ],
        columns=[*COLUMNS, *WITHOUT_COLLAPSED],
    ).assign(verdict_family_wise=["undecided", "reproduced", "not tested"])
    shown = shown_claims(claims).iloc[:, 1:6].astype(object).where(lambda table: table.notna(), None)
    assert shown.to_numpy().tolist() == [
        ["undecided", "0.200 [0.100, 0.300]", "undecided", "undecided", "0.000 [-0.100, 0.100]"],
        ["reproduced", "0.200 [0.100, 0.300]", "reproduced", None, None],
        ["not tested", None, "not tested", None, None],
    ]
