"""What tests of corpora share."""

import zipfile

import pandas as pd


def zipped(folder, path=None, packing=zipfile.ZIP_DEFLATED):
    """A zip of a folder's files, beside it unless another path is given."""
    path = path or folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", packing) as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder))
    return path


def edit_labels(folder, row, column, value):
    labels = pd.read_csv(folder / "labels.csv", dtype=str)
    labels.loc[row, column] = value
    labels.to_csv(folder / "labels.csv", index=False)


def reasons(corpus):
    return dict(zip(corpus.rejected["file"], corpus.rejected["reason"], strict=True))


def relabelled(folder, **columns):
    """Replace columns of a corpus's labels; ``_`` is a blank in their names."""
    labels = pd.read_csv(folder / "labels.csv")
    for name, values in columns.items():
        labels[name.replace("_", " ")] = values
    labels.to_csv(folder / "labels.csv", index=False)
    return labels
