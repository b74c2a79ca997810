"""The descriptions of a study's files for CODECHECK and as an RO-Crate."""

import hashlib
import json

import yaml

from studylib.outputs import TABLES, checksums, describe


def test_every_file_is_named_and_is_there(tmp_path):
    folder, page = tmp_path / "study", tmp_path / "study.html"
    (folder / "figures").mkdir(parents=True)
    for name in ("grid.csv", "claims.csv", "figures/answer.svg", "provenance.json"):
        (folder / name).write_text(f"of {name}: é")
    page.write_text("a page")
    describe(folder, page)

    text = (folder / "codecheck.yml").read_text()
    manifest = yaml.safe_load(text)
    assert text.startswith("---\n") and manifest["version"].startswith("https://codecheck.org.uk/spec/config/")
    named = {entry["file"]: entry["comment"] for entry in manifest["manifest"]}
    assert set(named) == {"grid.csv", "claims.csv", "figures/answer.svg", "../study.html"} and all(named.values())
    assert all((folder / name).exists() for name in named) and "studylib verify reports/study" in manifest["summary"]

    about, root, *parts = json.loads((folder / "ro-crate-metadata.json").read_text())["@graph"]
    assert about["@id"] == "ro-crate-metadata.json" and about["about"] == {"@id": root["@id"]} == {"@id": "./"}
    assert {"name", "description", "datePublished", "license"} <= root.keys()
    assert [part["@id"] for part in root["hasPart"]] == [part["@id"] for part in parts]
    for part in parts:
        content = (folder / part["@id"]).read_bytes()
        assert part["sha256"] == hashlib.sha256(content).hexdigest() and int(part["contentSize"]) == len(content)


def test_a_table_that_is_not_there_has_no_checksum(tmp_path):
    (tmp_path / "grid.csv").write_text("a")
    assert checksums("02", tmp_path) == {"grid.csv": hashlib.sha256(b"a").hexdigest()}
    assert checksums("01", tmp_path) == {} and list(TABLES) == ["02", "03", "04", "05"]
