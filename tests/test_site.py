"""The site: which pages it has, and its numbers. It is built where `make site` has been called."""

import json
import re
import runpy
import subprocess
from fnmatch import fnmatch

import pytest

from helpers import evaluation
from helpers.storage import PROJECT

CONTENTS = (PROJECT / "site/contents.md").read_text(encoding="utf-8")
ENTRIES = [
    re.sub(r".*<(.*)>", r"\1", line)
    for line in CONTENTS.splitlines()
    if re.match(r"[A-Za-z]", line)
]
RESULTS = runpy.run_path(str(PROJECT / "site/results.py"))
TABLES = RESULTS["tables"]()

#: Where `make site` installs Sphinx.
PYTHON = PROJECT / ".venv-site/bin/python"


@pytest.mark.parametrize(
    "files",
    ["notebooks/*.ipynb", "docs/*.md", "data/*.md", "models/*.md", "report/*/model_card.md"],
)
def test_every_notebook_guide_and_card_is_listed(files):
    pages = [path.relative_to(PROJECT).with_suffix("") for path in PROJECT.glob(files)]
    assert pages
    for page in pages:
        assert any(fnmatch(page.as_posix(), entry) for entry in ENTRIES), page


def test_every_report_is_linked_with_its_first_page():
    page = (PROJECT / "site/reports.md").read_text(encoding="utf-8")
    studies = [path.parent.name for path in PROJECT.glob("report/*/report.pdf")]
    assert {"demo", "emotale_half", "nemo", "ravdess"} <= set(studies)
    for study in {"demo", "emotale_half", "nemo", "ravdess"}:
        assert f"(../report/{study}/report.pdf)" in page
        assert f"(../figures/{study}/report.png)" in page


def row(*cells):
    return "| " + " | ".join(cells) + " |"


def written(score):
    return "{value:z.2f}&nbsp;({low:z.2f}&nbsp;to&nbsp;{high:z.2f})".format(**score)


def results(study, name):
    path = PROJECT / "report" / study / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("study", ["demo", "emotale_half", "nemo", "ravdess"])
def test_scores_within_a_corpus_are_those_of_its_results_file(study):
    section = TABLES[TABLES.index(f"## Within a corpus: {study}\n") :].split("\n\n## ")[0]
    final = results(study, "improvements")["final"]["speaker"]
    for model, scores in final.items():
        assert row(f"`{model}`", written(scores["ccc"]), written(scores["mae"])) in section
    assert section.count("\n| `") == len(final)
    assert f"\n{results(study, 'corpus')['clips']} clips, " in section


@pytest.mark.parametrize(
    ("study", "name", "records"),
    [
        ("demo", "other_voices", "scores"),
        ("voices", "transfer", "scores"),
        ("voices", "human_voices", "left out"),
    ],
)
def test_scores_across_corpora_are_those_of_their_results_files(study, name, records):
    for each in results(study, name)[records]:
        named = each["trained on"], each["tested on"], f"`{each['model']}`"
        assert row(*named, written(each["ccc"]), written(each["mae"])) in TABLES


def test_few_speakers_and_plain_percentiles_are_said():
    assert RESULTS["ENOUGH_SPEAKERS"] == evaluation.ENOUGH_SPEAKERS
    few = ", below eight, so their intervals are too narrow"
    assert f"high voices: 5 speakers{few}; low voices: 4 speakers{few}." in TABLES
    assert RESULTS["counted"]({"a": 7, "b": 8}) == f"a: 7 speakers{few}; b: 8 speakers"
    page = (PROJECT / "site/results.md").read_text(encoding="utf-8")
    older = re.search("Those within RAVDESS and (.*) are plain", " ".join(page.split()))[1]
    titles = re.findall("^## (.*)$", TABLES, re.M)
    assert re.findall("“(.*?)”", older) == titles[-3:]  # those of report/voices/


def test_scores_of_a_small_corpus_are_those_of_its_results_file():
    for each in results("voices", "small_corpora")["scores"]:
        named = str(each["clips"]), f"`{each['model']}`"
        assert row(*named, written(each["ccc"]), written(each["mae"])) in TABLES


@pytest.mark.skipif(not PYTHON.exists(), reason="needs Sphinx: make site")
def test_the_site_is_built_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path):
    site = tmp_path / "html"
    command = [PYTHON, "-m", "sphinx", "-EWnq", "-c", "site", "-d", tmp_path / "read", ".", site]
    subprocess.run(command, cwd=PROJECT, check=True)
    pages = {
        path.relative_to(site).as_posix(): path.read_text(encoding="utf-8")
        for path in site.rglob("*.html")
    }
    assert pages["index.html"] == pages["README.html"]
    assert pages["notebooks/01_exploration.html"].count('src="data:audio/') == 2
    assert "<math " in pages["notebooks/02_preprocessing.html"]
    assert '<img alt="Two heat maps' in pages["notebooks/08_other_voices.html"]
    for name, page in pages.items():
        assert not re.search(r'(<script[^>]* src|<link[^>]* href|<img[^>]* src)="https?:', page), (
            name
        )
