"""How Sphinx makes the site of pages that this repository holds anyway; `make site` runs it.

The notebooks are shown with their stored outputs, and nothing is executed. Links to files that are
no pages lead to GitHub where a workflow builds the site, and elsewhere to copies of the files.
"""

import json
import os
import shutil
import sys
from pathlib import Path

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.addnodes import download_reference
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import results  # noqa: E402

#: The address of the repository, where a GitHub workflow builds the site.
REPOSITORY = "{GITHUB_SERVER_URL}/{GITHUB_REPOSITORY}".format_map(
    {"GITHUB_SERVER_URL": "", "GITHUB_REPOSITORY": ""} | os.environ
).strip("/")

project = "Valence from speech"
author = "The contributors of valence-from-speech"
project_copyright = author
extensions = ["myst_nb"]
myst_enable_extensions = ["dollarmath"]

# The sources are the whole repository, so that links between its files are links of the site.
root_doc = "README"
include_patterns = [
    "*.md",
    "data/README.md",
    "docs/*.md",
    "models/README.md",
    "notebooks/0*.ipynb",
    "notebooks/README.md",
    "notebooks/exercises/**",
    "report/*/model_card.md",
    "site/reports.md",
    "site/results.md",
    "tests/mutants.md",
]
exclude_patterns = [".*", "**/.*", "site/_build", "mutants"]

nb_execution_mode = "off"
nb_merge_streams = True
nb_render_markdown_format = "myst"  # with tables
nb_ipywidgets_js = {}  # scripts of other servers, for widgets that work in JupyterLab only
nb_code_prompt_show = "Show the code"
nb_code_prompt_hide = "Hide the code"

html_theme = "furo"
html_title = project
html_static_path = ["static"]
html_css_files = ["site.css"]
html_copy_source = False
html_math_renderer = "mathml"
html_theme_options = {"top_of_page_buttons": []}
if REPOSITORY:
    html_theme_options = {
        "top_of_page_buttons": ["view"],
        "source_repository": REPOSITORY,
        "source_branch": "main",
        "source_directory": "",
    }


def complete(app: Sphinx, name: str, source: list[str]) -> None:
    """Add what the sources lack: contents, tables, and what JupyterLab stores in its own way."""
    if name == root_doc:
        if REPOSITORY:
            source[0] = source[0].replace("clone ADDRESS", f"clone {REPOSITORY}")
            source[0] = source[0].replace("    # ADDRESS is that of this page", "")
        source[0] += (HERE / "contents.md").read_text(encoding="utf-8")
    elif name == "site/results":
        source[0] += "\n" + results.tables()
    elif app.env.doc2path(name).suffix == ".ipynb":
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            about = cell["metadata"]
            if about.get("jupyter", {}).get("source_hidden"):
                about.setdefault("tags", []).append("hide-input")
            for output in cell.get("outputs", []):
                if alt := output.get("metadata", {}).get("image/png", {}).get("alt"):
                    about["mystnb"] = {"image": {"alt": alt}}
        source[0] = json.dumps(notebook)


class LinksToFiles(SphinxTransform):
    """A link to a file that is no page leads to GitHub, unless it is a PDF."""

    default_priority = 400

    def apply(self) -> None:
        """Replace the links of one page."""
        for link in list(self.document.findall(download_reference)):
            path, _ = self.env.relfn2path(link["reftarget"], self.env.docname)
            if not path.endswith(".pdf"):
                address = f"{REPOSITORY}/blob/main/{path}"
                link.replace_self(nodes.reference("", "", *link.children, refuri=address))


def write_formula(translator: HTML5Translator, node: nodes.Element) -> None:
    """Write a formula as MathML, which browsers draw without a script."""
    block = isinstance(node, nodes.math_block)
    translator.body.append(tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def name_start_page(app: Sphinx, error: Exception | None) -> None:
    """Servers look for index.html."""
    if error is None:
        shutil.copy(app.outdir / f"{root_doc}.html", app.outdir / "index.html")


def setup(app: Sphinx) -> None:
    """Connect the above to Sphinx."""
    app.connect("source-read", complete)
    app.connect("build-finished", name_start_page)
    app.add_html_math_renderer("mathml", (write_formula, None), (write_formula, None))
    if REPOSITORY:
        app.add_transform(LinksToFiles)
