# Two commands: `make demo` and `make test`. Each does its own set-up; nothing but Python 3.11+ and the package
# registries is needed. ARGS go to `sextant demo`; EXTRAS="browser spark torch sagemaker slow" add suites that take more
# of both.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv pip install --quiet --require-hashes
EXTRAS ?=
ARGS ?=
# Workers of the core suite; the session's fixtures are made by each of them that needs them.
WORKERS ?= 2
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)

.PHONY: demo test checks setup setup-dev lint types suites clean $(addprefix extra-,browser spark torch sagemaker slow)

demo: setup
	@$(BIN)/sextant demo $(ARGS)

# What waits for the network is fetched while the core suite runs; the extra suites, which wait for processes and pages,
# run two at a time.
test: setup-dev
	@$(MAKE) --no-print-directory -j2 checks $(patsubst %,.venv-%/stamp,$(filter-out slow,$(EXTRAS)))
	@$(if $(strip $(EXTRAS)),$(MAKE) --no-print-directory -j2 $(SYNC) $(addprefix extra-,$(EXTRAS)))

checks:
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory types
	@$(MAKE) --no-print-directory suites

setup: $(VENV)/demo.stamp

setup-dev: $(VENV)/dev.stamp

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Sextant needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Set PYTHON=… to a newer one.")'
	@echo "Setting up $(VENV) (about a minute, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt

$(VENV)/demo.stamp: requirements/demo.txt pyproject.toml web/vendor.lock.json web/vendor.py | $(BIN)/uv
	@$(UV) --python $(BIN)/python -r requirements/demo.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python web/vendor.py
	@touch $@

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/demo.stamp
	@$(UV) --python $(BIN)/python -r requirements/dev.txt
	@touch $@

lint: setup-dev
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .

types: setup-dev
	$(BIN)/pyrefly check --summary=none
	$(BIN)/mypy
	$(BIN)/python -m web.typecheck

suites: setup-dev
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadgroup --durations=10 \
	  -m "not browser and not spark and not torch and not sagemaker and not slow and not aws"

# An environment of its own each: heavy, and none of it in the demo's way.
.venv-%/stamp: requirements/%.txt pyproject.toml | $(BIN)/uv
	@$(PYTHON) -m venv .venv-$*
	@$(UV) --python .venv-$*/bin/python -r requirements/$*.txt
	@$(BIN)/uv pip install --quiet --python .venv-$*/bin/python --no-deps --editable .
	@touch $@

# PyTorch's build without CUDA is on no package registry: pip looks where its own configuration says, uv does not.
.venv-torch/stamp: requirements/torch.txt pyproject.toml | $(BIN)/uv
	@$(PYTHON) -m venv .venv-torch
	@.venv-torch/bin/python -m pip install --quiet --require-hashes -r requirements/torch.txt
	@$(BIN)/uv pip install --quiet --python .venv-torch/bin/python --no-deps --editable .
	@touch $@

extra-browser: .venv-browser/stamp setup-dev
	.venv-browser/bin/pytest -m browser tests/browser
	.venv-browser/bin/pytest -m browser tests/inspection_edge

extra-spark: .venv-spark/stamp setup-dev
	$(BIN)/pytest -m "spark and not slow"

# The encoder's graph beside PyTorch's own, and fine-tuning with several processes.
extra-torch: .venv-torch/stamp setup-dev
	.venv-torch/bin/pytest -m torch tests/slides/test_torch.py

# The official SDK, unmodified, against the embedded SageMaker; what it starts needs PyTorch.
extra-sagemaker: .venv-sagemaker/stamp .venv-torch/stamp setup-dev
	$(BIN)/pytest -m sagemaker tests/sagemaker tests/posts

# Kills in mid-run, a 1 GB manifest, the stock CDK CLI: minutes each.
extra-slow: setup-dev
	$(BIN)/pytest -m "slow and not browser and not spark and not torch and not sagemaker" --durations=10

clean:
	-@$(BIN)/sextant down --delete
	rm -rf $(VENV) .venv-* cdk.out .sextant
