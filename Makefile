# The two commands of the README and a few more. `make help` lists them.
# GNU make 3.81 (macOS) must read this: no features younger than that.

VENV := .venv
READY := $(VENV)/.ready
RUN := $(VENV)/bin/python -m
HOUSE := stimuli models probes reports tests conftest.py
ARGS ?=
# Empty: scripts/setup.sh picks the first Python that is new enough.
PYTHON ?=
export PYTHON

# One thread for numpy as for torch: on a busy machine two wait for each other longer than one needs to compute.
OMP_NUM_THREADS ?= 1
export OMP_NUM_THREADS

# A Python that is not Homebrew's finds Homebrew's FluidSynth only through this variable.
ifeq ($(shell uname -s),Darwin)
export HOMEBREW_PREFIX := $(or $(HOMEBREW_PREFIX),$(shell brew --prefix 2>/dev/null))
endif

# A .venv works only where it was made, and only with the Python it was made with. A checkout that
# was moved or copied would otherwise test the code of the old place.
ifneq "$(CURDIR)" "$(shell test -x $(VENV)/bin/python && cat $(READY) 2>/dev/null)"
.PHONY: $(READY)
endif

.PHONY: help claims test bench gallery lint setup clean

help:
	@echo 'make claims    set up, check the claims, write report.html and report.json'
	@echo 'make test      set up, run the tests of testtone itself'
	@echo 'make bench     set up, time the bundled encoders and print what each needs'
	@echo 'make gallery   set up, make the page of reports/gallery again from its report.json'
	@echo 'make lint      set up, run ruff and mypy'
	@echo 'make setup     only set up: .venv with the versions of constraints.txt'
	@echo 'make clean     remove .venv, caches and reports'
	@echo
	@echo 'ARGS="..."     goes to pytest: make claims ARGS="-k alias --encoder mine.py:build"'
	@echo 'PYTHON=...     the Python to set up with (3.11 or newer): make test PYTHON=python3.12'

claims: $(READY)
	$(RUN) pytest -m claims --claims-report report.html $(ARGS)

test: $(READY)
	$(RUN) pytest $(ARGS)

bench: $(READY)
	$(RUN) pytest tests/benchmarks --benchmark-columns=min,median,max,rounds $(ARGS)

gallery: $(READY)
	$(RUN) testtone.reports reports/gallery/report.json -o reports/gallery/index.html
	$(RUN) testtone.reports export reports/gallery/report.json -o reports/gallery --only badge

# mypy finds the folders under the name testtone through a link, as an installed package would show them.
# It reads what ships: tests/harness hands wrong types over on purpose.
lint: $(READY)
	@$(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[test,lint]'
	$(RUN) ruff check $(HOUSE)
	@mkdir -p $(VENV)/typing && ln -sfn ../.. $(VENV)/typing/testtone
	MYPYPATH=$(VENV)/typing $(RUN) mypy -p testtone.stimuli -p testtone.models -p testtone.probes -p testtone.reports \
		-p testtone.tests.claims -m testtone.tests.plugin

setup: $(READY)

$(READY): pyproject.toml constraints.txt scripts/setup.sh
	@sh scripts/setup.sh

clean:
	rm -rf $(VENV) build dist testtone.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache .benchmarks report.html report.json bench-ratios.json
	find stimuli models probes reports tests scripts conftest.py -name __pycache__ -type d -prune -exec rm -rf {} +
