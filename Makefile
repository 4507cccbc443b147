# mlwb: `make run` does everything on a fresh machine, `make test` proves it. `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
INSTALLER ?= pip
LOCKED := $(VENV)/.locked-$(shell cat requirements.lock 2>/dev/null | cksum | cut -d' ' -f1)
STAMP := $(VENV)/.ok-$(shell cat requirements.lock pyproject.toml 2>/dev/null | cksum | cut -d' ' -f1)
PIP := $(PY) -m pip --quiet --quiet --disable-pip-version-check

DATA ?=
SOURCE ?=
PROFILE ?=
POLICY ?=
ARGS ?=
RUN_FLAGS := $(foreach path,$(DATA),--data $(path)) $(if $(SOURCE),--source $(SOURCE)) $(if $(PROFILE),--profile $(PROFILE)) $(if $(POLICY),--policy $(POLICY)) $(ARGS)

export PYTHONHASHSEED := 0
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

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

$(STAMP): $(LOCKED)
	@rm -f $(VENV)/.ok-*
	@$(PIP) install --no-deps --no-build-isolation -e .
	@$(PY) -m pip check --disable-pip-version-check >/dev/null || { echo "the environment is not consistent:"; $(PY) -m pip check; exit 1; }
	@touch $@

setup: $(STAMP) ## set up .venv from requirements.lock (done by every other target)

run: $(STAMP) ## the whole loop: data to verdict (DATA=path PROFILE=name POLICY=file)
	@$(PY) -m mlwb run $(RUN_FLAGS)

.PHONY: setup run
