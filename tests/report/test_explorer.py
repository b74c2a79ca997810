"""What the figure of one cell knows of the grid; how it behaves is tested in `tests/test_report.py`."""

import itertools
import json

import numpy as np
import pandas as pd
from bs4 import BeautifulSoup

from studylib.grid import KEYS
from studylib.report.explorer import explorer

FLOOR = pd.DataFrame({"accuracy": {"popularity": 0.1, "markov": 0.3}})


def grid_cells() -> pd.DataFrame:
    """16 cells with 50 test cases: one failed, the loss of another is infinite at the end."""
    random, rows = np.random.default_rng(0), []
    settings = itertools.product(["gru", "lstm"], ["softmax"], ["adam", "sgd"], [64, 128], [2, 4], [0])
    for n, (architecture, activation, optimizer, size, epochs, seed) in enumerate(settings):
        above = random.integers(0, 6, 50)
        rows.append(
            {
                **dict(zip(KEYS, (architecture, activation, optimizer, size, epochs, seed), strict=True)),
                "accuracy": float((above == 0).mean()),
                "above": above.tolist(),
                "tied": [0] * 50,
                "curve": [8.123456 / (1 + (n // 2) / 10 + k) for k in range(epochs)],
                "status": "ok",
                "reason": "finished",
                "split": "a",
            }
        )
    rows[5] |= {
        "accuracy": float("nan"),
        "above": [],
        "tied": [],
        "curve": [],
        "status": "failed",
        "reason": "out of memory",
    }
    rows[15]["curve"][-1] = float("inf")
    return pd.DataFrame(rows)


def data_of(cells):
    html = explorer(cells, cells.iloc[3], FLOOR)
    return json.loads(BeautifulSoup(html, "html.parser").script.string)


def test_every_cell_has_its_accuracy_with_interval_and_the_curve_of_its_training():
    cells = grid_cells()
    data = data_of(cells)
    assert data["factors"][0] == ["architecture", ["GRU", "LSTM"]] and data["factors"][3] == ["batch size", [64, 128]]
    assert data["start"] == [0, 0, 0, 1, 1, 0]
    assert len(data["cells"]) == 16 and len(data["curves"]) == 8
    for row, cell in zip(cells.to_dict("records"), data["cells"], strict=True):
        curve = data["curves"][cell["curve"]]
        if row["status"] == "failed":
            assert cell == {"accuracy": [None] * 3, "cases": 0, "curve": 2, "trouble": "failed (out of memory)"}
            continue
        accuracy, low, high = cell["accuracy"]
        assert low < accuracy < high and accuracy == row["accuracy"] and cell["cases"] == 50
        assert len(curve) >= row["epochs"] and abs(curve[0] - row["curve"][0]) < 1e-3
    assert data["curves"][7][-1] is None and len(data["curves"][2]) == 2


def test_the_order_of_the_rows_does_not_matter_and_nothing_ends_the_script():
    cells = grid_cells()
    cells.loc[5, "reason"] = "</script><b>"
    html = explorer(cells, cells.iloc[3], FLOOR)
    assert html.count("</script>") == 1
    shuffled = cells.iloc[[*range(8), *reversed(range(8, 16))]]
    assert [cell["accuracy"] for cell in data_of(shuffled)["cells"]][:8] == [
        c["accuracy"] for c in data_of(cells)["cells"]
    ][:8]
