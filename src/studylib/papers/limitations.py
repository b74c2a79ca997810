"""What the results of a study do not say, for the data that it has."""

from __future__ import annotations

from importlib.resources import files

import pandas as pd
import yaml

from studylib.params.study import StudyParams

COLUMNS = ["limitation", "what follows"]


def limitations(params: StudyParams) -> pd.DataFrame:
    """The entries of ``limitations.yaml`` that are about the study's data, or about any: `COLUMNS`. A study of a log of one's own
    has none that are about the papers."""
    present = {log.dataset for log in (params.data, *params.ranking.datasets)}
    entries = yaml.safe_load((files("studylib.papers") / "limitations.yaml").read_text(encoding="utf-8"))
    rows = [
        (entry["limitation"], entry["what_follows"].strip())
        for entry in entries
        if ("data" not in entry or present & set(entry["data"])) and not ("papers" in entry and params.is_own_log)
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
