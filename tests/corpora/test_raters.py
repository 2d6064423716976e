"""Ratings of several listeners, in a column or a row each."""

import numpy as np
import pandas as pd
import pytest

from helpers import corpora
from helpers.corpora import CorpusError
from tests.conftest import write_corpus
from tests.corpora.conftest import reasons, relabelled

#: Four judges of six targets, table 2 of Shrout & Fleiss (1979).
JUDGED = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]

SINGLE = np.array([[1.0, 2, 3], [4, 5, 4.5], [2, 2, 2.5]] * 4)


@pytest.mark.parametrize("form", ["a{}_V", "rater_{}", "Valence {}", "V{}", "rater{}_valence"])
def test_a_column_for_each_rater_gives_their_mean(corpus_folder, form):
    columns = {form.format(n + 1): SINGLE[:, n] for n in range(3)}
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="valence").assign(**columns)
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert np.allclose(corpus.clips["valence"], SINGLE.mean(axis=1))
    assert np.array_equal(corpus.raters.to_numpy(), SINGLE) and corpus.scale == (1, 5)
    assert corpora.summary(corpus)["raters"].startswith("3, each against the mean of the others")


def test_a_row_for_each_rater_gives_their_mean(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    rows = [
        {"file": name, "rater": f"r{n}", "valence": SINGLE[i, n], "speaker": speaker, "time": n}
        for n in (2, 0, 1)
        for i, (name, speaker) in enumerate(zip(labels["file"], labels["speaker"], strict=True))
        if (i, n) != (3, 0)
    ]
    pd.DataFrame([*rows, rows[0]]).to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    expected = SINGLE.copy()
    expected[3, 0] = np.nan
    assert corpus.clips["file"].tolist() == labels["file"].tolist() and corpus.rejected.empty
    assert np.array_equal(corpus.raters.to_numpy(), expected, equal_nan=True)
    assert np.allclose(corpus.clips["valence"], np.nanmean(expected, axis=1))
    assert corpus.clips["speaker"].nunique() == 4 and "time" not in corpus.clips
    assert corpora.summary(corpus)["raters"].startswith("3 (2 to 3 a clip), each against")


def test_raters_may_spell_a_file_differently(corpus_folder):
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    forms = [str, str.upper, lambda name: name.removesuffix(".wav"), " {} ".format]
    rows = [
        (form(name), f"r{n}", SINGLE[i, n % 3])
        for n, form in enumerate(forms)
        for i, name in enumerate(names)
    ]
    table = pd.DataFrame(rows, columns=["file", "rater", "valence"])
    table.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["file"].tolist() == names.tolist() and corpus.rejected.empty
    assert np.array_equal(corpus.raters.to_numpy(), SINGLE[:, [0, 1, 2, 0]])


def test_what_one_row_of_a_clip_says_is_known_of_it_and_what_differs_is_named(corpus_folder):
    labels = pd.read_csv(corpus_folder / "labels.csv")
    rows = [
        {
            **{"file": name, "rater": n, "valence": SINGLE[i, n], "mood": "calm" if n else "tired"},
            **{"speaker": "" if n else f"s{i % 2}", "gender": "f" if n == 2 else "unknown"},
        }
        for i, name in enumerate(labels["file"])
        for n in range(3)
    ]
    pd.DataFrame(rows).to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["speaker"].tolist() == ["s0", "s1"] * 6
    assert set(corpus.clips["gender"]) == {"f"} and "mood" not in corpus.clips
    assert corpus.notes == (
        "mood of labels.csv is left out, since it differs between raters of a clip",
    )
    pd.DataFrame(rows)[["file", "rater", "valence"]].to_csv(
        corpus_folder / "labels.csv", index=False
    )
    assert corpora.load(corpus_folder).notes == ()


def test_a_rating_that_one_rater_gave_wrongly_costs_the_clip(corpus_folder):
    cells = SINGLE.astype(str)
    cells[0, 1], cells[1, 2], cells[2, 0], cells[4, :] = "good", "9", "", ""
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="valence")
    for n in range(3):
        labels[f"rater {n}"] = cells[:, n]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder, scale=(1, 5))
    assert reasons(corpus) == {
        "clip00.wav": "has the rating 'good', which is not a number",
        "clip01.wav": "has the rating 9, which is outside the scale 1 to 5",
        "clip04.wav": "has no rating",
    }
    assert corpus.clips["valence"][0] == 2.25 and len(corpus.raters) == len(corpus.clips) == 9


def test_raters_without_any_number_are_no_raters(corpus_folder):
    relabelled(corpus_folder, rater_1="Ann", rater_2="Bob")
    assert corpora.load(corpus_folder).raters is None
    labels = relabelled(corpus_folder, a1_V="good", a2_V="bad").rename(columns=str.strip)
    labels.drop(columns="valence").to_csv(corpus_folder / "labels.csv", index=False)
    with pytest.raises(CorpusError, match="has no rating that is a number"):
        corpora.load(corpus_folder)
    (corpus_folder / "labels.csv").write_text("file,a1_V,a2_V\n")
    with pytest.raises(CorpusError, match="has no rating that is a number"):
        corpora.load(corpus_folder)


def test_a_rater_who_rated_a_clip_twice_and_differently_costs_the_clip(corpus_folder):
    rows = [(f"clip{i:02d}.wav", rater, v) for i, v in enumerate([1, 5, 3]) for rater in "ab"]
    table = pd.DataFrame([*rows, ("clip00.wav", "a", 2)], columns=["file", "rater", "valence"])
    table.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder, scale=(1, 5))
    assert reasons(corpus)["clip00.wav"] == "has the ratings 1 and 2 by one rater: keep one"
    assert corpus.raters.shape == (2, 2)


def test_raters_may_write_the_times_of_a_part_in_different_forms(tmp_path, output):
    write_corpus(tmp_path / "c", clips=1)
    rows = ["0.1,0.5,2,a", "0:0.10,0.50 s,4,b", "0.5,0.7,5,a", "0.50,0:00.7,1,b", "?,0.7,1,b"]
    lines = ["file,start,end,valence,rater", *(f"clip00,{row}" for row in rows)]
    (tmp_path / "c" / "labels.csv").write_text("\n".join(lines))
    corpus = corpora.load(tmp_path / "c", scale=(1, 5))
    assert corpus.clips["valence"].tolist() == [3, 3, 1] and corpus.rejected.empty
    assert corpus.raters["a"].tolist()[:2] == [2, 5]


def test_emotions_of_several_raters_are_not_averaged(corpus_folder):
    names = pd.read_csv(corpus_folder / "labels.csv")["file"]
    rows = [(name, n, "sad" if i + n else "happy") for i, name in enumerate(names) for n in (0, 1)]
    table = pd.DataFrame([*rows, ("clip01.wav", 2, "happy")], columns=["file", "rater", "emotion"])
    table.to_csv(corpus_folder / "labels.csv", index=False)
    with pytest.raises(CorpusError, match="emotions of several raters are not averaged, so write"):
        corpora.load(corpus_folder)


def test_columns_with_names_as_r_gives_them_are_said_to_be_those_of_raters(corpus_folder):
    names = pd.read_csv(corpus_folder / "labels.csv")[["file"]]
    table = names.assign(**{f"V{n + 1}": SINGLE[:, n] for n in range(3)})
    table.to_csv(corpus_folder / "labels.csv", index=False)
    said = "V1, V2, V3 of labels.csv are taken for ratings by 3 raters"
    assert corpora.load(corpus_folder).notes == (said,)


def test_a_rating_beside_those_of_raters_stays_the_rating(corpus_folder):
    before = corpora.load(corpus_folder)
    labels = pd.read_csv(corpus_folder / "labels.csv")
    for n in range(3):
        labels[f"rater_{n}"] = SINGLE[:, n]
    labels.to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert corpus.clips["valence"].equals(before.clips["valence"]) and corpus.raters.shape == (
        12,
        3,
    )
    assert corpus.fingerprint == before.fingerprint


@pytest.mark.parametrize("other", ["valence_expert", "rater_1", "expert valence", "listener_b"])
def test_a_rating_in_a_column_of_another_name_is_named(corpus_folder, other):
    columns = {"valence_1": SINGLE[:, 0], "valence_2": SINGLE[:, 1], other: SINGLE[:, 2]}
    labels = pd.read_csv(corpus_folder / "labels.csv").drop(columns="valence").assign(**columns)
    labels.assign(valence_sd=1, listener="all").to_csv(corpus_folder / "labels.csv", index=False)
    corpus = corpora.load(corpus_folder)
    assert np.allclose(corpus.clips["valence"], SINGLE[:, :2].mean(axis=1))
    assert corpus.notes == (
        f"{other} of labels.csv is not used, as the raters' columns are those called like "
        "valence_1: give it such a name if it is a rater's",
    )


def test_the_agreement_of_raters_is_that_of_shrout_and_fleiss():
    raters = pd.DataFrame(JUDGED, columns=list("abcd"), dtype=float)
    both = {"ICC(2,1)": 0.29, "ICC(2,k)": 0.62}  # their table 4
    assert corpora.reliability(raters).round(2).to_dict() == both
    each = corpora.agreement(raters)
    others = raters[["b", "c", "d"]].mean(axis=1)
    assert each.loc["a", "mae"] == pytest.approx((raters["a"] - others).abs().mean())
    pair = np.array([raters["a"], others])
    ccc = (
        2 * np.cov(pair, ddof=0)[0, 1] / (pair.var(axis=1).sum() + np.diff(pair.mean(axis=1)) ** 2)
    )
    assert each.loc["a", "ccc"] == pytest.approx(ccc[0]) and set(each["clips"]) == {6}
    crowd = pd.concat([raters.assign(d=np.nan), raters.assign(a=np.nan)], ignore_index=True)
    assert corpora.agreement(crowd)["mae"].notna().all()


def test_raters_who_differ_between_clips_have_the_one_way_correlation():
    judged = np.array(JUDGED, float)
    # Every clip is rated by four of 24 raters, whose names say nothing.
    crowd = np.full((6, 24), np.nan)
    for clip, ratings in enumerate(judged):
        crowd[clip, clip * 4 : clip * 4 + 4] = ratings
    both = {"ICC(1,1)": 0.17, "ICC(1,k)": 0.44}  # Shrout & Fleiss, table 4
    assert corpora.reliability(pd.DataFrame(crowd)).round(2).to_dict() == both
    alone = pd.DataFrame(np.vstack([crowd, np.eye(24)[:1]])).replace(0, np.nan)  # of one rater
    assert corpora.reliability(alone).round(2).to_dict() == both


def test_numbers_of_raters_that_differ_give_the_correlation_that_clips_were_made_with():
    random = np.random.default_rng(0)
    ratings = random.normal(0, 1, (4000, 1)) + random.normal(0, 2, (4000, 6))  # ICC 1 / 5
    ratings[np.arange(6) >= random.integers(1, 7, 4000)[:, None]] = np.nan
    found = corpora.reliability(pd.DataFrame(ratings))
    assert found["ICC(1,1)"] == pytest.approx(0.2, abs=0.02)
    several = (~np.isnan(ratings)).sum(axis=1)
    k = several[several > 1].mean()
    assert found["ICC(1,k)"] == pytest.approx(k * 0.2 / (1 + (k - 1) * 0.2), abs=0.03)


def test_too_few_clips_of_several_raters_have_no_correlation():
    few = pd.DataFrame({"a": [1.0, 2.0, np.nan], "b": [2.0, np.nan, 3.0]})
    assert corpora.reliability(few).isna().all()
    same = pd.DataFrame({"a": [2.0, 2.0], "b": [2.0, 2.0]})
    assert corpora.reliability(same).isna().all()
