# `make` lists what there is. Everything runs in .venv, which is made on first use and
# renewed when pyproject.toml, constraints.txt or the C codec change.
.DEFAULT_GOAL := help
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
STAMP := .stamps/run
DEV := .stamps/dev
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$p && break; done)
ARGS ?=
SERVERS := integration or registry or chaos

.PHONY: help demo test check rules bench soak chaos clean
help: ## this list
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt setup.py streams/engine/codec/_native.c streams/engine/wire/_batch.c
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed and none was found (set PYTHON=/path/to/python3)" >&2; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { rm -rf $(VENV); \
	  echo "error: $(PYTHON) cannot make a virtual environment: install its venv module (Debian: apt install python3-venv)" >&2; exit 2; }
	@echo "setting up $(VENV) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e .
	@mkdir -p $(@D) && touch $@

# What only tests and checks need comes later, so that the demo starts sooner.
$(DEV): $(STAMP)
	@echo "adding test tools to $(VENV) ..."
	@$(PY) -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[test,dev]'
	@touch $@

demo: $(STAMP) ## the main job on the embedded broker, with the bundled real orders
	@$(VENV)/bin/oms demo $(ARGS)

# On every core what needs no server, then one after the other what shares one. 5: none of them were asked for.
test: $(DEV) ## every test, those on the real broker included
	@$(PY) -m pytest -q -n auto --dist worksteal -m "not ($(SERVERS))" $(ARGS); alone=$$?; \
	$(PY) -m pytest -q -m "$(SERVERS)" $(ARGS); shared=$$?; \
	for status in $$alone $$shared; do case $$status in 0|5) ;; *) exit $$status ;; esac; done; \
	test $$alone$$shared != 55

check: $(DEV) ## ruff, mypy --strict and the import doors
	@status=0; \
	$(VENV)/bin/ruff check . || status=1; \
	$(VENV)/bin/mypy || status=1; \
	$(PY) -m pytest -q tests/architecture $(ARGS) || status=1; \
	exit $$status

rules: $(DEV) ## business rules against the tests that prove them
	@$(PY) -m tests.architecture.rules_report $(ARGS)

bench: $(DEV) ## throughput and latency beside the peers; writes bench/RESULTS.md
	@$(PY) -m bench $(ARGS)

soak: $(DEV) ## the long simulations and fuzz runs
	@OMS_SOAK=1 $(PY) -m pytest -q -m "not ($(SERVERS))" tests/property tests/simulation tests/scenarios tests/unit/codec $(ARGS)

chaos: $(DEV) ## 20 kills, a broker restart and a zombie on the real broker
	@OMS_CHAOS=long $(PY) -m pytest -q -s -m chaos tests/chaos $(ARGS)

clean: ## what make made: .venv, caches, build output
	@rm -rf $(VENV) .stamps .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	@rm -rf *.egg-info streams/engine/codec/*.so
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
