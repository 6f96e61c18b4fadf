# make demo: a trained voice from the embedded corpus.  make test, make lint: what CI runs.
# Needs Python >= 3.11 (another one: make PYTHON=python3.12 …), make, git and a package registry.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
INSTALLED := .venv/installed

.PHONY: help demo test lint docs notebook format clean
help:
	@grep '^#' Makefile | head -2

demo: $(INSTALLED)
	@dvc repro
	@echo
	@echo "The report: results/report/index.html"
	@echo "The WAVs:   results/wavs/"
	@echo 'Next:       $(BIN)/dtc say "call 90210 at 7:45"'

test: $(INSTALLED)
	@pytest --numprocesses 2 --dist worksteal

lint: $(INSTALLED)
	@ruff check
	@ruff format --check
	@mypy
	@lint-imports
	@python docs/tools/build_site.py --quiet

# The site, in build/site. A warning is an error.
docs: $(INSTALLED)
	@python docs/tools/build_site.py --quiet && echo "The documentation: build/site/index.html"

# docs/first_voice.ipynb, built and run with the preset smoke. The run needs two packages more than the tests do.
notebook: $(INSTALLED)
	@python docs/tools/first_voice.py
	@pip install --quiet 'ipykernel>=6.29' 'nbmake>=1.5'
	@mkdir -p build/notebook && cp docs/first_voice.ipynb build/notebook
	@cd build/notebook && DTC_PRESET=smoke pytest --nbmake --nbmake-timeout 600 -c /dev/null first_voice.ipynb

format: $(INSTALLED)
	@ruff check --fix
	@ruff format

clean:
	rm -rf .venv data models runs spoken results/report results/wavs

# The versions of requirements.lock.
$(INSTALLED): requirements.lock pyproject.toml docker/install.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dtc: Python %d.%d found, expected >= 3.11; make PYTHON=python3.12" % sys.version_info[:2])'
	PYTHON=$(PYTHON) DEVICE=cuda docker/install.sh packages .venv
	docker/install.sh dtc .venv -e
	@touch $@
