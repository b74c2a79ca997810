"""What a study writes, by notebook, and its description for those who check or archive it.

`describe` writes two files beside the tables: ``codecheck.yml``, the manifest of CODECHECK
(https://codecheck.org.uk/spec/config/1.0/), and ``ro-crate-metadata.json``, an RO-Crate (https://w3id.org/ro/crate/1.1).
"""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import yaml

from studylib import __version__
from studylib.data.sessions import checksum
from studylib.paths import write

_RANKING = {
    "ranking.csv": "one row a data set, model, seed and protocol",
    "ranking_times.csv": "the seconds of each training, and the processor",
    "intervals.csv": "every ranking metric with its 95 % confidence interval",
    "pairs.csv": "every two models compared case by case",
    "by_prefix_length.csv": "every metric by the length of the prefix",
    "by_target_frequency.csv": "every metric by how often the target occurs in training",
    "popularity_bias.csv": "how popular the recommended items are",
}

TABLES = {
    "02": {
        "grid.csv": "one row a cell of the grid and seed",
        "grid_times.csv": "the seconds of each cell, and the processor",
        "baselines.csv": "every measure of the grid's baselines",
        "scale.csv": "accuracy and NDCG@10 of each model after so many training sessions",
    },
    "03": _RANKING
    | {
        "order_sensitivity.csv": "what shuffled prefixes cost each model",
        "by_tie.csv": "every metric by whether the target has the time of the event before it",
        "searched.csv": "the best validation value that is expected of so many trials",
        "ablation.csv": "as ranking.csv, for the steps of the ablation",
        "ablation_intervals.csv": "as intervals.csv, for the steps of the ablation",
        "ablation_times.csv": "the seconds of each training of the ablation, and the processor",
    },
    "04": {
        "claims.csv": "the claims of the papers, what was measured, the rule and the verdict",
        "claim_parts.csv": "the parts of the claims, each with its interval",
        "claims_times.csv": "the claims about time, which depend on the machine",
    },
    "05": _RANKING,
}
"""Of each notebook, its tables and what they hold."""


def checksums(number: str, folder: Path) -> dict[str, str]:
    """The SHA-256 of every table of a notebook that is there."""
    return {name: checksum((folder / name).read_bytes()) for name in TABLES.get(number, {}) if (folder / name).exists()}


def describe(folder: Path, page: Path) -> None:
    """Write ``codecheck.yml`` and ``ro-crate-metadata.json`` of a study."""
    files = {
        name: words for tables in TABLES.values() for name, words in tables.items() if (folder / name).exists()
    } | {path.relative_to(folder).as_posix(): "a figure" for path in sorted(folder.glob("figures/*.svg"))}
    write(folder / "codecheck.yml", _codecheck(folder.name, files | {f"../{page.name}": "the page"}))
    write(folder / "ro-crate-metadata.json", json.dumps(_crate(folder, files), indent=2) + "\n")


def _codecheck(study: str, files: dict[str, str]) -> str:
    manifest = {
        "version": "https://codecheck.org.uk/spec/config/1.0/",
        "manifest": [{"file": name, "comment": words} for name, words in files.items()],
        "summary": f"`studylib verify reports/{study}` derives these files from what is kept and trains a sample of it again.",
    }
    return yaml.safe_dump(manifest, explicit_start=True, sort_keys=False, allow_unicode=True, width=1000)


def _crate(folder: Path, files: dict[str, str]) -> dict:
    parts = [
        {
            "@id": name,
            "@type": "File",
            "name": words,
            "encodingFormat": "text/csv" if name.endswith(".csv") else "image/svg+xml",
            "contentSize": str((folder / name).stat().st_size),
            "sha256": checksum((folder / name).read_bytes()),
        }
        for name, words in (files | {"provenance.json": "commit, versions, data, params, machine"}).items()
    ]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": f"Which recurrent recommender? Results of the study {folder.name}",
        "description": "Tables and figures of a study of recurrent networks that predict the next page or item of a session.",
        "datePublished": date.today().isoformat(),
        "license": {"@id": "https://spdx.org/licenses/MIT"},
        "version": __version__,
        "hasPart": [{"@id": part["@id"]} for part in parts],
    }
    about = {
        "@id": "ro-crate-metadata.json",
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    return {"@context": "https://w3id.org/ro/crate/1.1/context", "@graph": [about, root, *parts]}
