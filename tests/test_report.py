import html
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import psutil
import pypdf
import pytest

from helpers import corpora, plots
from helpers.settings import Settings
from helpers.storage import PROJECT
from report import build


@pytest.fixture
def demo(output):
    """The results and figures of the demo corpus as in git, where a test may change them."""
    for kind in ("figures/demo", "report/demo/results"):
        shutil.copytree(PROJECT / kind, output / kind, ignore=shutil.ignore_patterns("run"))
    return output


def html_of():
    """The report in the order in which it is written: on pages, pictures stand between lines."""
    return build.compiler("demo", Settings.from_env()).compile(format="html").decode()


def words_of(markup):
    """The text of a page of HTML."""
    body = markup.split("<body>")[1]
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", body)).split())


def squeezed(text):
    """Without blanks and hyphens, which depend on where lines end."""
    return re.sub(r"[\s\u00ad-]", "", text)


def text_of(pdf):
    return squeezed("".join(page.extract_text() for page in pypdf.PdfReader(pdf).pages))


def made(demo, **changes):
    """The report's text after changes: results file=function that changes its content."""
    for name, edit in changes.items():
        path = demo / f"report/demo/results/{name}.json"
        content = json.loads(path.read_text())
        edit(content)
        path.write_text(json.dumps(content))
    return squeezed(words_of(html_of()))


def score(value, half=0.01):
    return {"value": value, "low": value - half, "high": value + half}


def test_the_report_says_what_the_results_say(demo):
    text = made(demo)
    results = json.loads((demo / "report/demo/results/model.json").read_text())
    for scores in (results["splits"][results["main"]]["scores"], results["folds"]["scores"]):
        for model in ("parallel_cnn", "cnn_blstm", "median"):
            assert f"{scores[model]['mae']['value']:.2f}" in text
    assert f"{results['parameters']['window_200']:,}" in text
    assert results["made_by"]["fingerprint"] in text
    assert "else[" not in text and "#" not in text


COMPARED = [
    ("four-branch CNN", "median predictor"),
    ("four-branch CNN", "CNN–BLSTM"),
    ("tuned CNN (one branch)", "median predictor"),
    ("choice of the Bayesian search", "best row of the grid"),
    ("recommended network", "eGeMAPS baseline"),
    ("recommended network with normalised features", "normalised baseline"),
]


@pytest.mark.parametrize(
    ("answer", "sign", "words"),
    [
        ("better", 1, "The {} predicts better than the {}: its MAE is lower by {} ("),
        ("worse", -1, "The {} predicts worse than the {}: its MAE is higher by {} ("),
        ("unclear", 0, "No difference between the {} and the {} is shown: the gain in MAE is {} ("),
    ],
)
def test_each_comparison_is_concluded_from_its_interval(demo, answer, sign, words):
    sizes = [0.11 * (i + 1) for i in range(len(COMPARED))]
    gains = [score(sign * size) if sign else score(0.0, size) for size in sizes]
    network, blstm, tuned, search, recommended, normalised = gains

    def change_model(model):
        model["folds"]["scores"]["parallel_cnn"]["mae gain"] = network
        model["folds"]["against_blstm"] = blstm

    def change_tuning(tuning):
        tuning["folds"]["scores"]["tuned"]["mae gain"] = tuned
        tuning["bayesian"]["difference"].update(search)
        tuning["validation_speakers"] = 8

    def change_improvements(improvements):
        final = improvements["final"]
        final["speaker"]["recommended"]["mae gain"] = recommended
        final["speaker, normalised"]["recommended"]["mae gain"] = normalised

    text = made(demo, model=change_model, tuning=change_tuning, improvements=change_improvements)
    for pair, size in zip(COMPARED, sizes, strict=True):
        number = f"{size:.2f}" if sign else f"0.00 (−{size:.2f} to {size:.2f}"
        sentence = words.format(*pair, number).removesuffix(" (")
        assert squeezed(sentence) in text
    abstract = text[: text.index("1Theoriginalstudy")]
    assert sum(squeezed(words.split("{}")[0] + pair[0]) in abstract for pair in COMPARED) >= 3
    table = {
        1: "0.22(0.21–0.23),better",
        -1: "−0.22(−0.23to−0.21),worse",
        0: "0.00(−0.22to0.22),nodifferenceisshown",
    }
    assert table[sign] in text


def test_few_speakers_make_no_model_better_or_worse(demo):
    def few(results):
        results["folds"]["speakers"] = 7
        results["folds"].get("against_blstm", {}).update(score(0.22))

    def few_validated(tuning):
        few(tuning)
        tuning["validation_speakers"] = 7
        tuning["bayesian"]["difference"].update(score(0.44))

    text = made(demo, model=few, tuning=few_validated)
    for first, second, gain in (
        ("four-branch CNN", "CNN–BLSTM", "0.22 (0.21–0.23; 7 speakers, 1 seed)"),
        (
            "choice of the Bayesian search",
            "best row of the grid",
            "0.44 (0.43–0.45; validation part, 7 speakers, 3 fresh seeds)",
        ),
    ):
        sentence = f"The gain in MAE of the {first} over the {second} is {gain}, over too few"
        assert text.count(squeezed(sentence)) == 2 + (first == "four-branch CNN")
        assert squeezed(f"The {first} predicts") not in text
    assert squeezed("CNN–BLSTM better 0.22 (0.21–0.23) Test MAE") in text


def test_an_official_split_is_called_that(demo):
    def official(results):
        results["main"] = "official"
        if "splits" in results:
            results["splits"]["official"] = {**results["splits"].pop("speaker"), "by": "official"}
        else:
            results["final"]["official"] = results["final"].pop("speaker")

    text = made(demo, model=official, improvements=official)
    assert squeezed("Scores on the official split (4 speakers, 1 seed)") in text
    assert squeezed("Of the models without normalisation on the official split") in text
    assert squeezed("Scores over 2 folds (") not in text


@pytest.mark.parametrize("seeds", [1, 3])
def test_one_seed_says_nothing_of_another_training(demo, seeds):
    text = made(demo, model=lambda model: model["folds"].update(seeds=seeds))
    said = "do not say how another training would score"
    assert text.count(squeezed(said)) == (2 if seeds == 1 else 0)


@pytest.mark.parametrize(
    ("as_good", "sentence"),
    [
        (1, "The best row of the grid is better than each of the other 11 rows"),
        (2, "Of the other 11 rows of the grid, 1 is statistically indistinguishable from the best"),
        (5, "Of the other 11 rows of the grid, 4 are statistically indistinguishable"),
        (12, "No difference between the 12 rows of the grid is shown"),
    ],
)
def test_how_much_settings_matter_is_counted(demo, as_good, sentence):
    found = {"as_good": as_good, "rows": 12, "better_than_median": 7, "validation_speakers": 8}
    text = made(demo, tuning=lambda tuning: tuning.update(found))
    assert text.count(squeezed(sentence)) == 2  # in Experiments and in Conclusions
    assert squeezed("7 of the 12 rows have a lower MAE than the median predictor") in text
    found["validation_speakers"] = 7
    few = made(demo, tuning=lambda tuning: tuning.update(found))
    assert squeezed(sentence) not in few
    assert few.count(squeezed("7 speakers, too few to tell the 12 rows of the grid apart")) == 2


CLAIMS = {
    "more energy at low frequencies": {
        "yes": "The worst clips have more of their energy below 1024 Hz than the other clips",
        "no": "The worst clips have less of their energy below 1024 Hz than the other clips",
        "not shown": "No difference in energy below 1024 Hz between the worst clips",
    },
    "broader spectrum": {
        "yes": "the worst clips have broader spectra than the other clips",
        "no": "the worst clips have narrower spectra than the other clips",
        "not shown": "no difference in the breadth of the spectra is shown",
    },
    "low ratings predicted too high": {
        "yes": "Low valence is predicted too high, by 0.50 (0.49–0.51)",
        "no": "Low valence is predicted too low, by −0.50 (−0.51 to −0.49)",
        "not shown": "It is not shown that low valence is predicted too high",
    },
    "high ratings predicted too low": {
        "yes": "high valence is predicted too low, by 0.60 (0.59–0.61)",
        "no": "high valence is predicted too high, by −0.60 (−0.61 to −0.59)",
        "not shown": "it is not shown that high valence is predicted too low",
    },
}


@pytest.mark.parametrize("verdict", ["yes", "no", "not shown"])
def test_each_claim_of_the_original_study_gets_its_verdict(demo, verdict):
    def edit(errors):
        for claim in errors["claims"].values():
            claim["verdict"] = verdict
        errors["bias"][0].update(bias=0.5, low=0.49, high=0.51)
        errors["bias"][-1].update(bias=-0.6, low=-0.61, high=-0.59)

    text = made(demo, errors=edit)
    for sentences in CLAIMS.values():
        assert text.count(squeezed(sentences[verdict])) == 2  # in the analysis and in Conclusions
        for other in sentences.keys() - {verdict}:
            assert squeezed(sentences[other]) not in text


def test_what_goes_with_the_error_is_said_only_where_it_is_shown(demo):
    def edit(p, speakers, low=0.1):
        def change(errors):
            for factor in errors["factors"].values():
                factor["corrected"] = 1.0
            errors["factors"]["duration"].update(corrected=p, low=low, high=0.4)
            errors["speakers"] = speakers

        return change

    text = made(demo, errors=edit(0.001, {"known": 20, "share": 0.2, "p": 0.01}))
    assert squeezed("size of the error is related to duration, beyond the rating") in text
    assert squeezed("The error differs between speakers (p = 0.010)") in text
    assert squeezed("Among these speakers it is related") not in text
    text = made(demo, errors=edit(0.001, {"known": 20, "share": 0.2, "p": 0.01}, low=-0.1))
    assert squeezed("no relation of the size of the error with any of these facts") in text
    assert squeezed("Among these speakers it is related to duration, but the intervals") in text
    text = made(demo, errors=edit(0.2, {"known": 20, "share": 0.2, "p": 0.5}))
    assert squeezed("no relation of the size of the error with any of these facts") in text
    assert squeezed("No difference between the 20 speakers is shown") in text
    text = made(demo, errors=edit(0.2, {"known": 0, "share": None, "p": None}))
    assert squeezed("differs between speakers") not in text
    assert squeezed("No difference between the 0") not in text


@pytest.mark.parametrize(
    ("slope", "intercept", "words"),
    [
        (1.5, 0.5, ("the predictions are spread too little", "above 0")),
        (0.5, -0.5, ("the predictions are spread too much", "below 0")),
        (1.0, 0.0, ("no difference from 1 is shown", "no difference from 0 is shown")),
    ],
)
def test_calibration_is_judged_by_slope_and_intercept(demo, slope, intercept, words):
    def edit(errors):
        errors["slopes"]["rating on prediction"] = score(slope)
        errors["slopes"]["intercept of rating on prediction"] = score(intercept)

    text = made(demo, errors=edit)
    assert all(squeezed(each) in text for each in words)


@pytest.mark.parametrize(
    ("correlation", "p", "below", "sentence"),
    [
        (0.31, 0.01, -0.31, "The maps show these cues."),
        (0.31, 0.01, 0.31, "Both rise, so the maps do not tell which cues are used."),
        (-0.31, 0.01, 0.31, ": the maps do not show these cues."),
        (0.31, 0.06, 0.31, ": the maps do not show these cues."),
    ],
)
def test_maps_show_the_known_cue_only_if_their_effect_rises_with_it(
    demo, correlation, p, below, sentence
):
    def edit(errors):
        errors["cues"]["above 1 kHz"].update(correlation=correlation, p=p)
        errors["cues"]["below 1 kHz"].update(correlation=below, p=0.01)

    assert squeezed(sentence) in made(demo, errors=edit)
    assert squeezed("the maps") not in made(demo, errors=lambda errors: errors.update(cues={}))


def test_the_lucky_seeds_of_the_best_row_stand_beside_fresh_ones(demo):
    text = made(
        demo, tuning=lambda tuning: tuning["best"].update({"mean": 0.61, "fresh mean": 0.7})
    )
    assert squeezed("0.61 (mean of 3), 0.70 with fresh seeds") in text


def test_what_raters_agree_on_is_told_where_there_are_several(demo):
    raters = {"number": 3, "everyone": False, "one": 0.51, "mean": 0.76}
    text = made(demo, corpus=lambda corpus: corpus.update(raters=raters))
    assert (
        squeezed("Each rating is the mean of up to 3 raters. The reliability of one rater is")
        in text
    )
    unknown = {**raters, "everyone": True, "one": None, "mean": None}
    text = made(demo, corpus=lambda corpus: corpus.update(raters=unknown))
    assert squeezed("Each rating is the mean of 3 raters.") in text
    assert squeezed("The reliability") not in text
    none = made(demo, corpus=lambda corpus: corpus.update(raters=None))
    assert squeezed("Each rating is the mean") not in none


def test_an_idea_that_was_not_measured_says_so(demo):
    gain = score(0.123, 0.02)

    def keep(*names):
        def edit(improvements):
            row = improvements["ablation"]["statistics"] | {"mae gain": gain}
            improvements["ablation"] = dict.fromkeys(("statistics", *names), row)
            improvements["ablation_speakers"] = 8

        return edit

    ideas = (
        "attention_cnn instead, batches by length",
        "attention_cnn instead",
        "mean of three seeds",
        "no pitch, SpecAugment",
        "no pitch, noise",
        "frequencies up to 8 kHz",
        "bands half as many",
        "loss: MAE and CCC",
        "balanced",
    )
    missing = "notmeasuredinthisprofile"
    assert made(demo, improvements=keep()).count(missing) == len(ideas) + 1  # a loss in two rows
    text = made(demo, improvements=keep(*ideas, "loss: mean absolute error"))
    assert missing not in text
    assert text.count("0.12(0.10–0.14),better") == len(ideas)
    assert "−0.12(−0.14to−0.10),worse" in text  # MAE as the loss was better than the distribution


def test_parts_of_different_versions_of_the_code_are_marked(demo):
    def by(commit, *names):
        for name in names:
            path = demo / f"report/demo/results/run/{name}.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps({"made_by": {"commit": commit}}))
        return squeezed(words_of(html_of()))

    names = ("corpus", "features", "model", "tuning", "errors", "improvements", "your_speech")
    differ = squeezed("Parts of this report were made by different versions of the code")
    changed = squeezed("made by code with changes that are in no commit")
    before = squeezed(words_of(html_of()))
    assert by("abc123", *names) == before and differ not in before and changed not in before
    text = by("def456", "errors")
    assert differ in text and changed not in text and "abc123" in text and "def456" in text
    text = by("abc123+changes", *names)
    assert differ not in text and changed in text


def test_the_same_results_make_the_same_file_whatever_the_time(demo):
    report = build.compiler("demo", Settings.from_env())
    first = report.compile(pdf_standards="ua-1")
    time.sleep(1.1)  # dates in a PDF have seconds
    assert report.compile(pdf_standards="ua-1") == first


def test_all_that_a_report_reads_is_in_the_output_folder(demo, monkeypatch):
    """On Windows the project may be on another drive, and Typst reads below one folder."""
    settings = Settings.from_env()
    read = {path.name for path in build.sources(settings).rglob("*.*")}
    assert build.sources(settings).is_relative_to(demo)
    assert {"report.typ", "references.bib", "results.typ", "conclusions.typ"} <= read
    monkeypatch.delenv("VALENCE_OUTPUT")
    assert build.sources(Settings.from_env()) == PROJECT / "report"


@pytest.mark.parametrize("labels", ["categorical", "perceived"])
def test_labels_made_from_emotions_are_never_called_ratings(demo, labels):
    def edit(corpus):
        emotions = [{"emotion": "happy", "clips": 180, "valence": 4.62}]
        calm = {"clips": 9, "published": 4.36, "alternative": 3.3}
        calm |= {"median_mae": 0.9, "alternative_median_mae": 0.7}
        corpus.update(name="acted", labels=labels, layout="RAVDESS", sample_rates=[8000])
        corpus.update(categories=emotions, calm=calm, duplicates=2)

    made(demo, corpus=edit, model=lambda model: model["folds"]["scores"].pop("noise_floor", None))
    page = html_of()
    before, original = words_of(page).split("1 The original study")
    after = original.split("2 Data", 1)[1]  # the original study's ratings are ratings
    alternatives = re.findall('alt="([^"]*)"', page)
    assert len(alternatives) >= 10
    for each in (before, after, *alternatives):
        assert not re.search(r"\brat(ing|ings|ed)\b", each)
    text = words_of(page)
    text = squeezed(text)
    for sentence in (
        "The labels lie between",
        "The copies at 8 kHz were used",
        "not possible with files at 8 kHz",
        "2 usable clips with the same content as another are among them",
        "The clips are from RAVDESS [1]",
        "make report CORPUS=path/to/acted PROFILE=",
        "would have an MAE of 0.70 rather than 0.90",
    ):
        assert squeezed(sentence) in text


@pytest.mark.parametrize(("speakers", "narrow"), [(7, True), (8, False), (None, False)])
def test_an_interval_over_few_speakers_is_called_too_narrow(demo, speakers, narrow):
    def edit(results):
        results["folds"]["speakers"] = speakers
        for split in results.get("splits", {}).values():
            split["speakers"] = speakers
        for part in ("test_speakers", "validation_speakers"):
            if part in results:
                results[part] = speakers

    def covered(results):  # not all, whose interval draws no speakers
        results["coverage"]["speakers"] = speakers
        results["coverage"]["held"] = results["coverage"]["clips"] - 1

    def changes(results):
        results["ablation_speakers"] = speakers

    text = made(
        demo, model=edit, tuning=edit, errors=edit, your_speech=covered, improvements=changes
    )
    assert ("Clipsaretakenasindependentthere" in text) == (speakers is None)
    assert (squeezed("With 7 speakers, such intervals are too narrow") in text) == narrow
    assert ("toonarrow" in text) == narrow


def test_a_coverage_of_all_ratings_does_not_draw_the_speakers(demo):
    def covered(results):
        results["coverage"] |= {"speakers": 20, "held": results["coverage"]["clips"]}

    text = made(demo, your_speech=covered)
    assert "Clipsaretakenasindependentthere" in text and "drawing20speakers" not in text


def test_the_table_of_trials_is_read_from_its_file(demo):
    path = demo / "report/demo/results/trials.csv"
    lines = path.read_text().splitlines()
    cells = lines[1].split(",")
    cells[3] = "9.876543"
    settings = lines[-1].split(",")[:3]
    failed = ",".join([*settings, "", "1.5", "1.6", "", ""])
    path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:-1], failed]))
    text = made(demo)
    assert "9.88" in text
    assert "–1.501.60––" in text  # a trial that failed leaves a gap


def test_results_that_are_missing_or_spoilt_are_one_sentence(demo):
    path = demo / "report/demo/results/model.json"
    for spoil in (lambda: path.write_text('{"main": '), path.unlink):
        spoil()
        with pytest.raises(build.ReportError, match="holds no results .*make report") as caught:
            build.typeset("demo", Settings.from_env())
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b'{"tor', b"[1]", b"\xff", b"3"])
def test_what_differs_from_run_to_run_is_named_if_it_is_spoilt(demo, content):
    path = demo / "report/demo/results/run/model.json"
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(build.ReportError, match=r"run.model\.json cannot be read .*: delete it\.$"):
        build.typeset("demo", Settings.from_env())


@pytest.mark.parametrize(("key", "other"), [("fingerprint", "0"), ("profile", "full"), ("seed", 1)])
def test_results_of_different_studies_make_no_report(demo, key, other):
    path = demo / "report/demo/results/errors.json"
    content = json.loads(path.read_text())
    content["made_by"][key] = other
    path.write_text(json.dumps(content))
    with pytest.raises(
        build.ReportError, match=rf"errors\.json and model\.json differ in their {key}"
    ):
        build.typeset("demo", Settings.from_env())


@pytest.mark.parametrize(
    ("speakers", "unknown", "why"),
    [
        (0, 360, ", since no speakers are known"),
        (1, 0, " of the one speaker, and say nothing about other voices"),
        (20, 3, ", since the speakers of 3 are unknown"),
    ],
)
def test_a_corpus_of_one_or_unknown_speakers_gets_a_report(demo, speakers, unknown, why):
    def by_clip(results):
        results["folds"].update(by="clip", speakers=None)

    def improve(improvements):
        final = improvements["final"]
        improvements.update(main="clip", final={"clip": final["speaker"]})

    text = made(
        demo,
        corpus=lambda corpus: corpus.update(speakers=speakers, without_speaker=unknown),
        model=by_clip,
        tuning=lambda tuning: tuning.update(test_speakers=None, by_clip=None) or by_clip(tuning),
        errors=lambda errors: (
            errors.update(speakers={"known": 0, "share": None, "p": None}) or by_clip(errors)
        ),
        improvements=improve,
    )
    assert squeezed("They draw clips" + why) in text
    assert squeezed("Every clip was held out once") in text
    if speakers != 20:
        assert "20speakers" not in text and "0speakers" not in text
    assert (squeezed("(and 3 by unknown ones)") in text) == (unknown == 3)


@pytest.mark.parametrize(
    ("apart", "words"), [(0, "none shows"), (1, "one shows"), (2, "one shows"), (4, "3 show")]
)
def test_groups_that_differ_are_counted(demo, apart, words):
    """The two kinds of voices are one comparison, the seven accents are seven."""

    def change(improvements):
        for number, row in enumerate(improvements["groups"]):
            row["mae difference"] = score((-1) ** number * 0.3 if number < apart else 0.0, 0.1)
            row["size"]["speakers"] = 8

    text = made(demo, improvements=change)
    assert squeezed("Of 8 comparisons between a group of eight speakers or more") in text
    assert squeezed(f"(Table 7), {words} a difference in MAE, by 95 % intervals.") in text


def test_groups_of_few_speakers_are_not_said_to_differ(demo):
    def change(improvements):
        for number, row in enumerate(improvements["groups"]):
            row["mae difference"] = score(0.3, 0.1)
            row["size"]["speakers"] = 7 + (number == 0)

    text = made(demo, improvements=change)
    assert squeezed("in Table 7, one comparison is possible. It shows a difference in MAE") in text
    assert squeezed("The intervals of 8 groups of fewer speakers say too little.") in text


def test_groups_that_are_all_small_are_not_counted(demo):
    def change(improvements):
        for row in improvements["groups"]:
            row["size"]["speakers"] = 7

    text = made(demo, improvements=change)
    assert squeezed("No group in Table 7 has eight speakers or more, so its intervals") in text
    assert squeezed("comparison is possible") not in text


@pytest.mark.parametrize(("speakers", "narrow"), [(2, True), (8, False)])
def test_a_change_measured_on_few_speakers_is_said_to_be_so(demo, speakers, narrow):
    def change(improvements):
        improvements["ablation_speakers"] = speakers
        for name in ("loss: mean absolute error", "no pitch, SpecAugment"):
            improvements["ablation"][name]["mae gain"] = score(-0.06, 0.05)

    text = made(demo, improvements=change)
    assert squeezed(f"were measured on validation parts of {speakers} speakers") in text
    for words in (
        ", such intervals are too narrow.",
        " their intervals are too narrow, so none is",
    ):
        assert (squeezed(f"With {speakers} speakers{words}") in text) == narrow
    assert (squeezed("So no change is called better or worse.") in text) == narrow
    assert (squeezed("Better: none. Worse: “loss: mean absolute error” and") in text) != narrow
    assert (squeezed("distribution against MAE 0.06 (0.01–0.11), better") in text) != narrow


def test_what_known_clips_bring_is_read_from_their_rows(demo):
    def change(improvements):
        for number, row in enumerate(improvements["few_clips"]):
            row["mae gain"] = score(number / 100 + 1, 0.001)

    # The gains of the rows with five clips and with all, normalised.
    text = made(demo, improvements=change)
    assert squeezed("The gain in MAE of the SVR is 1.07 (1.07–1.07) with 5 known clips") in text
    assert squeezed("and 1.13 (1.13–1.13) with all clips; with all clips above the") in text
    assert squeezed("median rating alone it is 1.28 (1.28–1.28).") in text
    assert squeezed("it is 1.08 (1.08–1.08), 1.14 (1.14–1.14) and 1.29") in text


def test_results_without_groups_and_known_clips_make_a_report_without_them(demo):
    text = made(demo, improvements=lambda found: found.update(groups=[], few_clips=[]))
    assert squeezed("For whom does it err more?") not in text
    assert squeezed("What does normalising by speaker need?") not in text


def test_figures_call_models_what_the_report_does():
    source = (PROJECT / "report/parts/results.typ").read_text(encoding="utf-8")
    for model, name in plots.NAMES.items():
        assert f'{model}: "{name}"' in source


def test_the_first_page_is_a_picture_too(demo):
    build.typeset("demo", Settings.from_env())
    header = (demo / "figures/demo/report.png").read_bytes()[:24]
    assert header[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = (int.from_bytes(header[i : i + 4]) for i in (16, 20))
    assert height / width == pytest.approx(297 / 210, rel=0.01)


def test_the_committed_report_is_that_of_the_committed_results(demo):
    built = text_of(build.typeset("demo", Settings.from_env()))
    assert text_of(PROJECT / "report/demo/report.pdf") == built


@pytest.mark.parametrize(
    ("choice", "value", "sentence"),
    [
        ("VALENCE_CORPUS", "no/such/corpus.zip", "no/such/corpus.zip does not exist"),
        ("VALENCE_PROFILE", "hasty", "VALENCE_PROFILE is 'hasty'"),
    ],
)
def test_a_choice_that_cannot_be_used_is_one_sentence(monkeypatch, choice, value, sentence):
    monkeypatch.setenv(choice, value)
    run = subprocess.run(
        [sys.executable, "report/build.py"], cwd=PROJECT, capture_output=True, text=True
    )
    assert run.returncode == 2 and run.stdout == ""
    assert sentence in run.stderr and len(run.stderr.splitlines()) == 1


@pytest.mark.parametrize("argument", ["data/my_corpus", "--help"])
def test_an_argument_starts_no_study(monkeypatch, capsys, argument):
    monkeypatch.setattr(build, "run_all", lambda target: pytest.fail("started"))
    with pytest.raises(SystemExit, match="0" if argument == "--help" else "2"):
        build.main([argument])
    said = "".join(capsys.readouterr())
    assert "VALENCE_CORPUS" in said or f"unrecognized arguments: {argument}" in said


STOPPED = """
import signal, sys
from pathlib import Path
from helpers import cli
from report import build
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells start background jobs without
build.NOTEBOOKS = Path({folder!r})
sys.exit(cli.run(lambda none: build.run_all(build.NOTEBOOKS)))
"""


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process")
def test_ctrl_c_ends_the_kernel_and_is_one_word(tmp_path):
    started = tmp_path / "started"
    code = f"import os, pathlib, time\npathlib.Path({str(started)!r}).write_text(str(os.getpid()))"
    cells = [nbformat.v4.new_code_cell(f"{code}\ntime.sleep(60)")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "endless.ipynb")
    code = STOPPED.format(folder=str(tmp_path))
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=PROJECT, stderr=subprocess.PIPE, text=True
    ) as process:
        while not (started.exists() and started.read_text()):
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130, said
    lines = [line for line in said.splitlines() if line]
    assert [line for line in lines if "cell" not in line] == ["Stopped."]  # the others are the bar
    assert not psutil.pid_exists(int(started.read_text()))


def test_kernels_get_a_path_whole_and_a_name_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VALENCE_CORPUS", "ravdess")
    monkeypatch.setenv("VALENCE_OUTPUT", "else where")
    choices = build.for_kernels(Settings.from_env())
    assert choices["VALENCE_CORPUS"] == "ravdess"
    assert choices["VALENCE_OUTPUT"] == str(tmp_path / "else where")
    (tmp_path / "ravdess").mkdir()
    choices = build.for_kernels(Settings.from_env())
    assert choices["VALENCE_CORPUS"] == str(tmp_path / "ravdess")
    monkeypatch.setenv("VALENCE_CORPUS", "ravdess, other")
    choices = build.for_kernels(Settings.from_env())
    assert choices["VALENCE_CORPUS"] == f"{tmp_path / 'ravdess'},other"
    monkeypatch.delenv("VALENCE_CORPUS")
    assert "VALENCE_CORPUS" not in build.for_kernels(Settings.from_env())


def test_a_study_of_another_corpus_of_the_same_name_is_not_replaced_in_silence(output):
    corpus, settings = corpora.load(), Settings.from_env()
    assert not build.holds_another(corpus, settings)
    about = settings.results("demo") / "corpus.json"
    for fingerprint, another in ((corpus.fingerprint, False), ("0123456789abcdef", True)):
        about.write_text(json.dumps({"made_by": {"fingerprint": fingerprint}}))
        assert build.holds_another(corpus, settings) is another
    about.write_text("[")
    assert not build.holds_another(corpus, settings)


def test_notebooks_are_run_in_place_only_where_their_outputs_are_the_projects(output, monkeypatch):
    elsewhere = Settings.from_env()
    assert build.executed("demo", elsewhere) == output.resolve() / "report" / "demo" / "notebooks"
    monkeypatch.delenv("VALENCE_OUTPUT")
    here = Settings.from_env()
    assert build.executed("demo", here) == build.NOTEBOOKS
    assert build.executed("mine", here) == PROJECT / "report" / "mine" / "notebooks"
    monkeypatch.setenv("VALENCE_PROFILE", "full")
    full = Settings.from_env()
    assert build.executed("demo", full) == PROJECT / "report" / "demo" / "notebooks"
