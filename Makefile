# make demo: a trained voice from the embedded corpus.  make test, make lint: what CI runs.
# Needs Python >= 3.11 (another one: make PYTHON=python3.12 …), make, git and a package registry.
PYTHON ?= python3
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
INSTALLED := .venv/installed
TOOLS := build/tools
# One process of tests more than cores: a fifth of the time, a test waits for a server, a time limit or another process.
WORKERS = $(shell $(PYTHON) -c 'import os; print(min(8, 1 + (os.cpu_count() or 1)))')

.PHONY: help demo test lint docs notebook coverage mutate audit lock format clean
help:
	@grep '^#' Makefile | head -2

demo: $(INSTALLED)
	@dvc repro
	@echo
	@echo "The report: results/report/index.html"
	@echo "The WAVs:   results/wavs/"
	@echo 'Next:       $(BIN)/dtc say "call 90210 at 7:45"'

test: $(INSTALLED)
	@pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

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

# The share of lines that the tests run, of the process of pytest alone. It takes twice as long as `make test`.
coverage: $(INSTALLED)
	@pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder --cov --cov-report term:skip-covered --cov-report html:build/coverage

# Changes that a test should notice, in the modules of [tool.mutmut]; hours. `mutmut browse` shows those that none did.
mutate: $(INSTALLED)
	@pip install --quiet 'mutmut==3.8.1'
	@mutmut run && mutmut results

# Known weaknesses of the locked packages, from a public database: it needs a network, so no test runs it.
audit: $(TOOLS)/installed
	@$(TOOLS)/bin/pip-audit --disable-pip --require-hashes --requirement requirements.lock
	@$(TOOLS)/bin/zizmor --offline --no-progress .github

# The hashes of all files that the index has of each version. To change a version, edit its line and run this.
lock: $(TOOLS)/installed
	@$(TOOLS)/bin/uv pip compile --quiet --universal --no-deps --no-header --no-annotate --generate-hashes \
		--python-version 3.11 requirements.lock --output-file requirements.lock

$(TOOLS)/installed:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet 'pip-audit>=2.9' 'uv>=0.7' 'zizmor>=1.9'
	@touch $@

format: $(INSTALLED)
	@ruff check --fix
	@ruff format

clean:
	rm -rf .venv data models runs spoken results/evaluation results/judge results/report results/scp results/wavs

# The versions of requirements.lock.
$(INSTALLED): requirements.lock pyproject.toml docker/install.sh
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "dtc: Python %d.%d found, expected >= 3.11; make PYTHON=python3.12" % sys.version_info[:2])'
	PYTHON=$(PYTHON) DEVICE=cuda docker/install.sh packages .venv
	docker/install.sh dtc .venv -e
	@touch $@
