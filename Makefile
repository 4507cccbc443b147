# mlwb: `make run` does everything on a fresh machine, `make test` proves it. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
INSTALLER ?= pip
LOCKED := $(VENV)/.locked-$(shell cat requirements.lock 2>/dev/null | cksum | cut -d' ' -f1)
WHOLE := $(VENV)/.ok-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
# What ops/install has made is used as it is: a server's environment is not replaced under it.
STAMP := $(or $(wildcard $(VENV)/.installed),$(WHOLE))
ORACLES := $(VENV)/oracles/.ok-$(shell cat tests/oracles.lock 2>/dev/null | cksum | cut -d' ' -f1)
PEERS := $(VENV)/peers/.ok-$(shell cat tests/peers.lock 2>/dev/null | cksum | cut -d' ' -f1)
SERVING := $(VENV)/serving/.ok-$(shell cat ops/install ops/serving.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check

DATA ?=
SOURCE ?=
PROFILE ?=
POLICY ?=
ARGS ?=
RUN_FLAGS := $(foreach path,$(DATA),--data $(path)) $(if $(SOURCE),--source $(SOURCE)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(POLICY),--policy $(POLICY)) $(ARGS)

# Every kernel, server and test worker would compile the whole package again.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONHASHSEED := 0
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export ORT_DISABLE_TELEMETRY ?= 1

# A stamp is written only when its step is whole, so an interrupted set-up repairs itself.
$(LOCKED):
	@command -v $(PYTHON) >/dev/null 2>&1 || { echo "mlwb needs Python 3.11 or newer: '$(PYTHON)' was not found. Install it, or name one: make PYTHON=/path/to/python3.11 run"; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "mlwb needs Python 3.11 or newer: '$(PYTHON)' is $$($(PYTHON) -V 2>&1). Name a newer one: make PYTHON=/path/to/python3.11 run"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "mlwb needs the venv and ensurepip modules of Python (Debian, Ubuntu: apt-get install python3-venv)."; exit 2; }
	@echo "Setting up $(VENV) from requirements.lock (1-2 minutes, about 1.2 GB) ..."
	@$(PYTHON) -m venv --clear $(VENV)
ifeq ($(INSTALLER),uv)
	@uv pip install --quiet --python $(PY) --require-hashes -r requirements.lock
else
	@$(PIP) install --only-binary :all: --require-hashes -r requirements.lock
endif
	@touch $@

$(WHOLE): $(LOCKED)
	@rm -f $(VENV)/.ok-*
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PY) -m pip check --disable-pip-version-check >/dev/null || { echo "the environment is not consistent:"; $(PY) -m pip check; exit 1; }
	@touch $@

# Libraries only tests compare with; apart, since one of them pins old packages it does not need here.
$(ORACLES): $(STAMP)
	@rm -rf $(VENV)/oracles
	@$(PIP) install --no-deps --only-binary :all: --require-hashes --target $(VENV)/oracles -r tests/oracles.lock
	@touch $@

# Servers and clients that tests talk to over loopback, as processes with an environment of their own.
$(PEERS): $(STAMP)
	@rm -rf $(VENV)/peers
	@$(PYTHON) -m venv $(VENV)/peers
	@$(VENV)/peers/bin/python -m pip --quiet --quiet --disable-pip-version-check install --only-binary :all: --require-hashes -r tests/peers.lock
	@touch $@

# What a server has, and no more: the steps of the image, for the tests that start it as the image does.
$(SERVING): $(STAMP)
	@PYTHON=$(PYTHON) INSTALLER=$(INSTALLER) ops/install $(VENV)/serving
	@touch $@

.PHONY: setup run demo e2e nightly test fast check lab serve smoke shadow canary drift-check report pnl archive scrape promote rollback status verify bench clean help

setup: $(STAMP) ## set up .venv from requirements.lock (every other target does it by itself)

run: $(STAMP) ## the whole loop, data to verdict (DATA=path SOURCE=name PROFILE=name POLICY=file ARGS=...)
	@$(PY) -m mlwb run $(RUN_FLAGS)

demo: $(STAMP) ## the loop under policy.demo.yml (dwell times waived), then promotion
	@$(PY) -m mlwb run --policy policy.demo.yml $(ARGS)
	@$(PY) -m mlwb registry promote --reason demo

e2e: $(STAMP) ## prove the chain on a running server: five bad candidates, each stopped for its reason (ARGS="--only slow")
	@$(PY) -m mlwb e2e $(ARGS)

nightly: $(STAMP) ## measure the waiting candidate again and record the night (same variables as run)
	@$(PY) -m mlwb nightly $(RUN_FLAGS)

test: $(ORACLES) $(PEERS) $(SERVING) ## all tests: units, properties, contracts, processes, then the notebooks under nbval
	@$(PY) -m pytest -q -n 2 --dist loadfile
	@$(PY) -m pytest -q -p tests.notebooks.lane --nbval-lax tests/notebooks/golden

fast: $(ORACLES) $(PEERS) ## the fast lane: no servers, no kernels, nothing marked slow
	@$(PY) -m pytest -q -n 2 --dist loadfile -m "not slow and not server and not notebook"

check: $(STAMP) ## format, lint, types, import contracts
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(BIN)/lint-imports --no-cache

lab: $(STAMP) ## JupyterLab on the notebooks, with this environment as the kernel
	@test -e artifacts/models/latest || $(PY) -m mlwb run --profile ci
	@$(BIN)/jupyter lab --notebook-dir=notebooks

serve: $(STAMP) ## serve the promoted model on 127.0.0.1:4010
	@$(PY) -m mlwb serve $(ARGS)

smoke: $(STAMP) ## 1,000 requests from held-out bars to a server of its own (ARGS=--cold)
	@$(PY) -m mlwb smoke $(ARGS)

shadow: $(STAMP) ## what the server's shadow log says about the candidate (ARGS=--record; CSV=file sends its rows)
	@$(PY) -m mlwb shadow $(if $(CSV),run --csv $(CSV),compare) $(ARGS)

canary: $(STAMP) ## the candidate on the running server, phase by phase (ARGS=--dry-run|--live|--resume; else it observes)
	@$(PY) -m mlwb canary run $(or $(ARGS),--observe-only)

drift-check: $(STAMP) ## the daily job: rows served until yesterday against the frozen reference
	@$(PY) -m mlwb drift check $(ARGS)

report: $(STAMP) ## the daily job: yesterday and the validation window (ARGS="--date 2026-01-31")
	@$(PY) -m mlwb report daily $(ARGS)

pnl: $(STAMP) ## the daily job: served scores on paper, for the triggers win_rate and sharpe (ARGS="--data bars.csv.gz")
	@$(PY) -m mlwb report pnl $(ARGS)

archive: $(STAMP) ## move evidence and logs past their time into a verified archive
	@$(PY) -m mlwb evidence archive --apply $(ARGS)

scrape: $(STAMP) ## note what a server has counted, once a minute
	@$(PY) -m mlwb report scrape $(ARGS)

promote: $(STAMP) ## make the candidate `latest`, if the newest decision about it says so
	@$(PY) -m mlwb registry promote $(ARGS)

rollback: $(STAMP) ## make the previous version `latest` again (REASON="...")
	@$(PY) -m mlwb registry rollback --reason "$(REASON)" $(ARGS)

status: $(STAMP) ## what serves, what waits, what the last review found
	@$(PY) -m mlwb registry status

verify: $(STAMP) ## every evidence record and every model byte against its digest
	@$(PY) -m mlwb evidence verify && $(PY) -m mlwb registry verify

# make gate:data gate:signal ...; make gate:all prints the whole matrix
gate\:%: $(STAMP)
	@$(PY) -m mlwb gate $* $(ARGS)

bench: $(STAMP) ## ratios against peers and floors, in one run
	@for script in benchmarks/*.py; do echo "== $$script"; $(PY) $$script || exit 1; done

clean: ## remove what runs have left: outputs, artifacts, evidence (the environment stays)
	@for folder in outputs artifacts evidence; do find $$folder -mindepth 1 ! -name README.md -depth -exec chmod u+w {} + 2>/dev/null; find $$folder -mindepth 1 ! -name README.md -delete; done

help: ## this list
	@echo "mlwb: make run does everything on a fresh machine, make test proves it."
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name text; do printf '  %-11s %s\n' "$$name" "$$text"; done
	@printf '  %-11s %s\n' 'gate:NAME' 'ask one gate (data signal ablation wf pnl parity schema psi drift perf shadow canary ...)'
