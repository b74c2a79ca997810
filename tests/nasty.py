"""Text that is markup, script or worse somewhere, for every place where an id, a label, a path or a name can appear."""

import json
from pathlib import Path

import numpy as np
import yaml

SCRIPT = "<script>window.hacked = 1</script>"
IMAGE = "<img src=x onerror='window.hacked = 2'>"
ATTRIBUTE = '" onmouseover="window.hacked = 3" x=\''
SCRIPT_LINK = "[x](javascript:window.hacked=4)"
LINK = "[x](https://example.org) <a href='https://example.org'>y</a> https://example.org"
MATHTEXT = r"$x$ $\frac{ \(y\) $$z$$"
MARKDOWN = "a `b` *c* **d** __e__ # ~~f~~ | g \\ {h} {0} %s"
ENTITY = "&lt;b&gt; &amp; &#36; </td></table><!-- -->"
BACKWARDS = "\u200fשלום\u200f (1)"
LONG = "W" * 10_000
LINES = "one\n\n# two\r\nthree\tfour"
OVERRIDE = "\u202eabc\u202c"
NUL = "nul\0 \x1b[31mred"

NASTY = {
    "script": SCRIPT, "image": IMAGE, "attribute": ATTRIBUTE, "link to script": SCRIPT_LINK, "link": LINK, "math": MATHTEXT,
    "markdown": MARKDOWN, "entity": ENTITY, "backwards": BACKWARDS, "long": LONG, "lines": LINES, "override": OVERRIDE,
    "nul": NUL,
}  # fmt: skip


def write_nasty_study(folder: Path) -> Path:
    """A study of 60 sessions whose items, sessions, labels, paths and params file have such names; returns the params file."""
    random, items = np.random.default_rng(0), [text.replace("\0", "") for text in NASTY.values()]  # no id has a NUL
    # What may not stand in the name of a file is the slash: here it parts a folder and a file.
    log = folder / f"{IMAGE} {SCRIPT_LINK} $x$ <script>window.hacked = 1<" / "script>.jsonl"
    log.parent.mkdir()
    with log.open("w", encoding="utf-8") as file:
        for session in range(60):
            for at, item in enumerate(random.permutation(len(items))[: random.integers(8, len(items))]):
                event = {"user": f"{session} {items[session % len(items)]}", "item": items[item], "time": at + session}
                file.write(json.dumps(event) + "\n")
    source = {"reader": "jsonl", "path": str(log), "user": "user", "item": "item", "time": "time"}
    labels = (f"{SCRIPT}{IMAGE}{ATTRIBUTE}{SCRIPT_LINK}{LINK}{MATHTEXT}", f"{MARKDOWN}{ENTITY}{BACKWARDS}{OVERRIDE}")
    params = {
        "name": "nasty",
        "data": source,
        "grid": {
            "architectures": ["gru"],
            "activations": ["softmax"],
            "optimizers": ["adam"],
            "batch_sizes": [64],
            "epochs": [1],
            "units": 3,
        },
        "ranking": {
            "datasets": [
                {"name": labels[0], **source},
                {"name": labels[1], "split": "temporal", **source},
            ],
            "models": [
                {"model": "popularity", "label": f"_{SCRIPT}{MATHTEXT}"},
                {"model": "markov", "label": f"{IMAGE}{LINK}{MARKDOWN}"},
                {"model": "popularity", "label": LONG},
                {"model": "markov", "label": f"{LINES}{NUL}{BACKWARDS}"},
            ],
            "candidates": 5,
        },
    }
    file = folder / f"{IMAGE} $x$ `y`.yaml"
    file.write_text(yaml.safe_dump(params), encoding="utf-8")
    return file
