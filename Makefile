# The study's commands; `make help` lists them.

PYTHON ?= python3
ONLY ?=
CHOICES := CORPUS SCALE PROFILE ONLY PYTHON

$(foreach name,$(filter-out $(CHOICES) MAKE% SHELL,$(.VARIABLES)),$(if $(filter command,$(origin $(name))),\
  $(error $(name) is no choice: take one of $(CHOICES), or write $(name)=... before make)))

# What is not given is what the environment says; its scale is that of the corpus there. Neither
# make nor the shell expands a value, such as a path with a $.
ifneq ($(origin CORPUS), undefined)
report data: export VALENCE_CORPUS := $(value CORPUS)
endif
ifneq ($(origin CORPUS) $(origin SCALE), undefined undefined)
report: export VALENCE_SCALE := $(value SCALE)
endif
ifneq ($(origin PROFILE), undefined)
report: export VALENCE_PROFILE := $(value PROFILE)
endif
unexport CORPUS SCALE PROFILE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/installed
QUALITY := $(VENV)/quality-installed
SITE := $(VENV)-site
BACKENDS := jax torch

# JupyterLab shows pages of text as pages, and does not ask whether it may fetch news.
LAB_SETTINGS := { \
  "@jupyterlab/docmanager-extension:plugin": {"defaultViewers": {"markdown": "Markdown Preview"}}, \
  "@jupyterlab/apputils-extension:notification": {"fetchNews": "false"} }

NETWORK_ROOMS := models training inference
NETWORK_TESTS := $(NETWORK_ROOMS:%=tests/%) $(NETWORK_ROOMS:%=helpers/%) tests/evaluation/test_occlusion.py

.DEFAULT_GOAL := help
.PHONY: help report data test test-backends nightly coverage mutants bench lab site clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

report: $(INSTALLED)  ## run the notebooks and typeset the report [CORPUS=PATH|NAME] [SCALE=LOW,HIGH] [PROFILE=quick|full]
	$(BIN)/python report/build.py

data: $(INSTALLED)  ## download an open corpus of real voices, once [CORPUS=ravdess]
	$(BIN)/python -m helpers.corpora.downloads "$$VALENCE_CORPUS"

test: $(INSTALLED)  ## lint, types, imports, unit tests with doctests, notebooks against their stored outputs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n 2 --dist worksteal
	$(BIN)/python -m pytest -n 2 --dist loadfile --nbval notebooks/

# TensorFlow's environment is what the others' predictions are compared with.
test-backends: $(INSTALLED) $(BACKENDS:%=$(VENV)-%/installed)  ## the network tests on JAX and on PyTorch, without TensorFlow
	for backend in $(BACKENDS); do \
	  KERAS_BACKEND=$$backend $(VENV)-$$backend/bin/python -m pytest $(NETWORK_TESTS) || exit 1; \
	done

nightly: $(INSTALLED)  ## fuzz and kill (ten thousand spoilt files, fifty kills of each kind), study five odd corpora, then make the study twice: two hours
	VALENCE_FUZZ=1200 VALENCE_ROUNDS=50 VALENCE_STUDIES=2 \
	  $(BIN)/python -m pytest tests/test_fuzz.py tests/test_faults.py tests/test_studies.py tests/test_determinism.py

coverage: $(QUALITY)  ## lines of helpers/ that no unit test reaches (a quarter of an hour)
	$(BIN)/python -m pytest -n 2 --dist worksteal --cov=helpers --cov-report=term-missing --cov-fail-under=95

mutants: $(QUALITY)  ## spoil the modules that hold the numbers, expression by expression, and list what no test notices (an hour)
	$(BIN)/mutmut run
	$(BIN)/mutmut results

bench: $(INSTALLED)  ## measure speed and memory against stock Keras and librosa, and each stage of both commands (an hour) [ONLY=stages]
	TQDM_DISABLE=1 $(BIN)/python -m tests.benchmarks $(ONLY)

# JupyterLab plays the stored sounds of trusted notebooks only.
lab: $(INSTALLED)  ## open the notebooks in JupyterLab, at a page that lists them
	$(BIN)/jupyter trust notebooks/*.ipynb
	$(BIN)/jupyter lab --LabApp.default_url=/lab/tree/notebooks/README.md

# An environment of its own, without TensorFlow, since nothing is run. A broken link is an error.
site: $(SITE)/installed  ## web pages of the executed notebooks, the reports, all results and the cards, in site/_build/html/
	$(SITE)/bin/python -m sphinx -E -W -n -q -c site -d site/_build/doctrees . site/_build/html
	@echo "open site/_build/html/index.html"

clean:  ## remove all that can be rebuilt: the environments and the cache
	rm -rf $(VENV) $(SITE) $(BACKENDS:%=$(VENV)-%) site/_build mutants .coverage .hypothesis .import_linter_cache .cache .pytest_cache .ruff_cache .mypy_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# librosa compiles itself where it is first imported, which two processes at once would spoil. Its
# EAGER_IMPORT imports its modules in random order, and fails in some of them.
$(INSTALLED): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || { \
	  echo "Python 3.11, 3.12 or 3.13 is needed and $(PYTHON) is $$($(PYTHON) -V 2>&1): name another one, as in 'make PYTHON=python3.12 $(MAKECMDGOALS)'." >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make environments: install its venv module (on Debian and Ubuntu, 'apt install python3-venv')." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(BIN)/python -c 'import librosa; [getattr(librosa, name) for name in dir(librosa)]'
	mkdir -p $(VENV)/share/jupyter/lab/settings
	echo '$(LAB_SETTINGS)' > $(VENV)/share/jupyter/lab/settings/overrides.json
	touch $(INSTALLED)

$(QUALITY): requirements-quality.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(SITE)/installed: requirements-site.txt
	$(PYTHON) -m venv $(SITE)
	$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

$(VENV)-%/installed: requirements-%.txt requirements.txt pyproject.toml $(INSTALLED)
	$(PYTHON) -m venv $(VENV)-$*
	grep -v '^tensorflow' requirements.txt | $(VENV)-$*/bin/python -m pip install --quiet --disable-pip-version-check -r /dev/stdin -r $<
	touch $@
