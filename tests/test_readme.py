"""The README and the pages that it leads to: numbers, links, pictures and commands."""

import json
import re
import runpy
import sys

import pytest

from helpers.storage import PROJECT

README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGES = [PROJECT / "README.md", PROJECT / "CONTRIBUTING.md", *sorted(PROJECT.glob("docs/*.md"))]

#: A row of the README's table, and where its scores are: the study, and its network and baseline.
WITHIN = {
    "demo corpus": ("demo", "recommended", "egemaps_svr"),
    "half of EmoTale: 9 actors |": ("emotale_half", "recommended", "egemaps_svr"),
    "nEMO: 9 actors |": ("nemo", "recommended", "egemaps_svr"),
    "RAVDESS: 24 actors, by": ("ravdess", "recommended", "egemaps_svr"),
}
ACROSS = {
    "half of EmoTale: 9 actors, trained": ("ravdess + nemo", "emotale_half"),
    "RAVDESS: 24 actors, trained": ("nemo", "ravdess"),
    "nEMO: 9 actors, trained": ("ravdess", "nemo"),
}


def results(study, name):
    path = PROJECT / "report" / study / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))


def within(row):
    """Scores of the network, the baseline and the median predictor, and the number of speakers."""
    study, network, baseline = WITHIN[row]
    found = results(study, "improvements")
    assert found["main"] == "speaker" and found["seeds"] == 1
    assert found["folds"] == (6 if study == "ravdess" else 2)
    scores = found["final"]["speaker"]
    speakers = results(study, "corpus")["speakers"]
    return scores[network], scores[baseline], scores["median"], speakers


def across(row):
    found = results("voices", "human_voices")
    assert found["seeds"] == 3
    pair = ACROSS[row]
    scores = {
        each["model"]: each
        for each in found["left out"]
        if (each["trained on"], each["tested on"]) == pair
    }
    speakers = found["speakers"][pair[1]]
    return scores["three_views"], scores["egemaps_8k_svr"], scores["median"], speakers


def written(score):
    return "{value:.2f} ({low:.2f} to {high:.2f})".format(**score)


def cells(row):
    """The row of the README's table that begins so."""
    (line,) = re.findall(rf"^\| ({re.escape(row)}.*) \|$", README, re.MULTILINE)
    return line.split(" | ")


@pytest.mark.parametrize("row", [*WITHIN, *ACROSS])
def test_a_headline_is_what_its_results_file_says(row):
    network, baseline, median, speakers = within(row) if row in WITHIN else across(row)
    assert cells(row)[1:] == [
        written(network["ccc"]),
        written(baseline["ccc"]),
        written(network["mae"]),
        written(median["mae"]),
    ]
    assert f": {speakers} " in cells(row)[0]


def test_how_many_recordings_of_a_person_help_is_what_the_results_say():
    shrunk = [
        row for row in results("voices", "human_voices")["relative"] if row["way"] == "shrunk"
    ]
    gains = {(row["tested on"], row["recordings"]): row["ccc gain"] for row in shrunk}
    own = {count: gain for (name, count), gain in gains.items() if name == "emotale_half"}
    assert [count for count, gain in own.items() if gain["low"] > 0] == [5, 10, 20, max(own)]
    assert all(gain["high"] < 0 for (_, count), gain in gains.items() if count == 1)
    assert all(abs(g["value"]) < 0.015 for (name, _), g in gains.items() if name != "emotale_half")
    assert all(row["mae gain"]["low"] > 0 for row in shrunk)
    prose = " ".join(README.split())
    assert "the CCC with five recordings or more. With one, the CCC falls a little on all" in prose
    assert "The MAE falls on all three, with one recording, too" in prose


def test_no_score_stands_outside_of_the_table():
    prose = "\n".join(line for line in README.splitlines() if not line.startswith("|"))
    assert re.findall(r"(?<![\d.])-?[01]\.\d\d\b", prose) == []


def test_results_of_an_earlier_version_of_the_code_are_called_so():
    earlier = "starts" not in results("ravdess", "model")  # which notebook 3 counts since
    (row,) = (each for each, (study, *_) in WITHIN.items() if study == "ravdess")
    assert ("by an earlier version of the code" in cells(row)[0]) == earlier


def test_the_demo_corpus_is_counted():
    found = results("demo", "corpus")
    assert f"{found['clips']} clips by {found['speakers']} eSpeak NG voices" in README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_pictures_are_described(page):
    text = page.read_text(encoding="utf-8")
    for image, words, link in re.findall(r"(!?)\[([^\]]*)\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (page.parent / link).exists(), link
        assert not image or len(words) > 30


def test_pictures_of_the_readme_are_light():
    pictures = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", README)
    sizes = {name: (PROJECT / name).stat().st_size for name in pictures}
    assert len(sizes) >= 3 and all(size < 310_000 for size in sizes.values())
    assert sizes["docs/recorder.png"] < 150_000


def test_the_commands_without_make_are_run_on_windows():
    (block,) = re.findall(r"```bat\n(.*?)```", README, re.DOTALL)
    workflow = (PROJECT / ".github/workflows/test.yml").read_text(encoding="utf-8")
    *commands, lab = block.splitlines()
    assert lab == r".venv\Scripts\jupyter lab notebooks"
    run = re.findall(r"- run: (\S.*)$", workflow[workflow.index("windows") :], re.MULTILINE)
    assert commands[0] == "py -m venv .venv" and run[0] == "python -m venv .venv"
    assert sorted(commands[1:]) == sorted(run[1:])


def modules():
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    return sorted(set(re.findall(r"python -m (helpers\.\w+)", pages)))


@pytest.mark.parametrize("module", modules())
def test_options_that_the_pages_name_exist(module, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [module, "--help"])
    with pytest.raises(SystemExit, match="0"):
        runpy.run_module(module, run_name="__main__")
    known = capsys.readouterr().out
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for line in re.findall(rf"python -m {re.escape(module)}([^#`\n]*)", pages):
        for option in re.findall(r"--[a-z]+", line):
            assert f"{option} " in known or f"{option}]" in known


def test_the_version_is_one():
    files = {"pyproject.toml": 'version = "(.*)"', "CITATION.cff": "version: (.*)"}
    files["CHANGELOG.md"] = r"## \[(.*)\]"
    found = []
    for name, pattern in files.items():
        text = (PROJECT / name).read_text(encoding="utf-8")
        found.append(re.search(f"^{pattern}", text, re.MULTILINE)[1])
    assert len(set(found)) == 1


def test_the_example_of_a_model_is_python_that_runs_up_to_its_training():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    before, training = code.split("run = ")
    scope = {}
    exec(before, scope)  # the project's own README
    compile("run = " + training, "README.md", "exec")
    assert scope["model"].output_shape == (None, 1)
