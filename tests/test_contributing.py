"""CONTRIBUTING.md followed to the letter: a model that is one class and one entry is compared, kept and recommended from."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from studylib.paths import project_root

SCRIPT = """
import sys
from pathlib import Path
from studylib.comparison import compare
from studylib.execution import configure
from studylib.models import files
from studylib.params.files import study_params

folder = Path(sys.argv[1])
models = ["popularity", {"model": "recent", "sessions": 500}]
params = study_params({"data": {"synthetic": {"sessions": 1500}}, "ranking": {"models": models, "candidates": 20}})
configure(params.execution)
table = compare(params.ranking, params.execution, params.seed, folder).table.set_index(["model", "protocol"])
for protocol in ("full", "sampled-20", "shuffled"):
    assert 0 < table.loc[("recent", protocol), "hr@10"] < 1
assert table.loc[("recent", "full"), "hr@10"] != table.loc[("popularity", "full"), "hr@10"]
[file] = (folder / "models").glob("synthetic-recent-*")
model = files.load(file)
assert type(model).__name__ == "Recent" and model.settings.sessions == 500
print(*model.recommend([model.vocabulary[0]], k=3))
"""


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.M | re.S)


def test_a_model_is_one_class_and_one_entry(tmp_path):
    implementation, entry = blocks((project_root() / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    shutil.copytree(Path(project_root(), "src"), tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    library = tmp_path / "src" / "studylib"
    (library / "models" / "recent.py").write_text(implementation)
    entries = (library / "params" / "models.py").read_text(encoding="utf-8")
    before, after = entries.split("def _entries", 1)
    (library / "params" / "models.py").write_text(f"{before}{entry}\n\ndef _entries{after}", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "study")],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "src")}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert len(done.stdout.split()) == 3
