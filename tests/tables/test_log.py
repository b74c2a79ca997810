"""Tables of a log and of data sets, as they are read."""

import numpy as np

from studylib.data.sessions import apply_filters
from studylib.data.splits import leave_one_out, with_candidates
from studylib.data.synthetic import generate
from studylib.params.study import Data, Synthetic
from studylib.tables.log import dataset_row, filters_table

LOG = generate(Synthetic(sessions=300, items=20), seed=0).sessions


def test_what_the_filters_left_out_adds_up():
    table = filters_table(apply_filters(LOG, Data(min_length=3), 4))
    assert table["what"].tolist()[-1] == "kept" and len(table) > 1
    numbers = table[["sessions", "events"]].apply(lambda column: column.str.replace(",", "").astype(int))
    assert numbers["events"].sum() == len(LOG.items)


def test_a_row_of_a_data_set_counts_what_it_has():
    split = with_candidates(leave_one_out(apply_filters(LOG, Data(min_length=3))), count=5, seed=0)
    row = dataset_row("shop", split)
    assert row["data set"] == "shop" and row["split"] == split.kind
    assert row["sessions"] == row["test cases"] == f"{len(split.test):,}"
    distinct = np.mean([len(set(candidates)) for candidates in split.test.candidates.tolist()])
    assert row["distinct negatives a case"] == f"{distinct:.0f}"
