# The commands of the README. All of them set up what they need; nothing is installed outside .venv
# but Java, and that only as root on Debian or Ubuntu.

SHELL := /bin/bash
PYTHON ?= python3.11
PY := .venv/bin/python
export PYTHONSAFEPATH := 1
export PYTHONDONTWRITEBYTECODE := 1
# The order of the tests is another for each state of the code, and the same for one state on every machine:
# what fails in one place can be seen in another.
ORDER ?= $(shell tree=$$(git rev-parse 'HEAD^{tree}' 2>/dev/null | cut -c1-7); printf '%d' "0x$${tree:-0}")

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test test-all check proof calibrate bench

help: ## Show the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 12

setup: .venv/.ready ## Make the environment (.venv) and check for Java

.venv/.ready: requirements.lock pyproject.toml jobs/features/class_archive.py
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed: install it, or say where it is: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@bash docker/ensure-java.sh
	@test -x $(PY) || $(PYTHON) -m venv .venv || { rm -rf .venv; echo "python3.11 cannot make an environment; on Debian: apt-get install python3.11-venv" >&2; exit 1; }
	@echo "Installing the environment from requirements.lock (a few minutes, about 3 GB) ..."
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@echo "Preparing Spark's start ..."
	@$(PY) -m jobs.features.class_archive
	@touch $@

demo: setup ## Show the closed loop on a small simulated shop (DATA=online-retail SOURCE=folder: on real data)
	@$(PY) -m simulator.demo $(if $(DATA),--data "$(DATA)") $(if $(SOURCE),--source "$(SOURCE)") $(if $(SEED),--seed $(SEED))

up: setup ## Start all servers and keep them running; prints addresses and logins
	@$(PY) -m jobs.cli up

down: setup ## Stop what `make up` started
	@$(PY) -m jobs.cli down

test: setup ## Run the tests: unit, contract, integration, a dozen faults, one loop (ORDER=number: in another order)
	@$(PY) -m pytest --randomly-seed=$(ORDER) -m "not slow and not loop and not alone" --numprocesses 2 --dist loadfile
	@$(PY) -m pytest --randomly-seed=$(ORDER) -m "(loop or alone) and not slow"

test-all: setup ## Run every test, the long ones included
	@$(PY) -m pytest

check: setup ## Lint and type-check: ruff, mypy, import-linter, sqlfluff
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@.venv/bin/lint-imports --cache-dir .venv/.cache/import_linter
	@.venv/bin/sqlfluff lint dbt_project

proof: setup ## Prove that the loop closes: six arms in a world of incidents (SEEDS=301,302 or all; DOCS=docs writes the page)
	@$(PY) -m simulator.proof $(if $(DATA),--data "$(DATA)") $(if $(SOURCE),--source "$(SOURCE)") $(if $(SEEDS),--seeds "$(SEEDS)") $(if $(DOCS),--docs "$(DOCS)")

calibrate: setup ## Count the monitor's false alarms in quiet years, and what it finds of incidents (DAYS=90: shorter years; DOCS=docs writes the page)
	@$(PY) -m simulator.calibration $(if $(DAYS),--days "$(DAYS)") $(if $(DOCS),--docs "$(DOCS)")

bench: setup ## Run the benchmarks (ONLY=name or group for some, those of large data alone; SOURCE=folder of real data; SEEDS=1: fewer seeds; DOCS=docs writes a group's page); figures go to FORETASTE_HOME/bench.jsonl
	@$(PY) -m benchmarks $(ONLY) $(if $(DOCS),--docs "$(DOCS)")
