# Each target sets itself up: a virtual environment in .venv, and what it needs in it. Needs python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check --quiet
# Of pytest: one more than cores, as tests wait for servers and disks.
WORKERS ?= 3

.PHONY: help demo test test-long test-oldest test-wheel test-big-endian lint format bench bench-peers clean

help:
	@echo "make demo       watch real data become a package, change, travel and be imported"
	@echo "make test       every test (make test-long: the long ones too)"
	@echo "make test-oldest, test-wheel, test-big-endian   the oldest versions allowed; the wheel by itself; an emulated s390x"
	@echo "make lint       ruff, mypy --strict, import-linter"
	@echo "make bench      timings, as ratios within one run; BENCH=--help for what to choose"
	@echo "make bench-peers   the same against DVC, restic, git-lfs and Oxen; PEERS=--help for what to choose"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dpkg needs Python 3.11 or newer; PYTHON=python3.12 make … names one"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module; on Debian: apt-get install python3-venv"; rm -rf $(VENV); exit 1; }

$(VENV)/.installed-%: $(BIN)/python pyproject.toml
	@$(PIP) install --editable '.[$*]'
	@touch $@

demo: $(VENV)/.installed-demo
	@$(BIN)/python tests/demo/demo.py

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(WORKERS) -m "not long"

test-long: $(VENV)/.installed-test $(VENV)/.installed-spark
	$(BIN)/python -m pytest -n $(WORKERS)

OLDEST ?= python3.11
OLDEST_VENV := .venv-oldest

$(OLDEST_VENV)/.installed: pyproject.toml tests/oldest.py
	@command -v $(OLDEST) >/dev/null || { echo "make test-oldest needs $(OLDEST); OLDEST=/path/to/python3.11 make … names one"; exit 1; }
	@$(OLDEST) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "$(OLDEST) is not Python 3.11, the oldest that dpkg runs on"; exit 1; }
	@$(OLDEST) -m venv --clear $(OLDEST_VENV)
	@$(OLDEST) tests/oldest.py > $(OLDEST_VENV)/constraints.txt
	@PIP_CONSTRAINT=$(OLDEST_VENV)/constraints.txt $(OLDEST_VENV)/bin/pip --disable-pip-version-check --quiet install --editable '.[test]'
	@touch $@

test-oldest: $(OLDEST_VENV)/.installed
	@echo "with $$($(OLDEST_VENV)/bin/python -V) and: $$(tr '\n' ' ' < $(OLDEST_VENV)/constraints.txt)"
	$(OLDEST_VENV)/bin/python -m pytest -n $(WORKERS) -m "not long" -p no:cacheprovider

test-wheel: $(BIN)/python
	$(BIN)/python tests/wheel.py -n $(WORKERS) -m "not long" -p no:cacheprovider

test-big-endian: $(BIN)/python
	$(BIN)/python tests/spec/big_endian/run.py .big-endian

lint: $(VENV)/.installed-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.installed-bench
	$(BIN)/python tests/bench/run.py $(BENCH)

bench-peers: $(VENV)/.installed-peers
	$(BIN)/python tests/bench/peers/run.py $(PEERS)

clean:
	rm -rf $(VENV) $(OLDEST_VENV) .big-endian .bench-peers build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .demo
