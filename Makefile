# Two commands do all set-up on a machine with Python >= 3.11 and make:
#   make demo    runs the main job       make test    passes the tests
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 2
# Tests start many processes: what is compiled is kept, although the environment may say otherwise (empty: it does not).
export PYTHONDONTWRITEBYTECODE :=
.DEFAULT_GOAL := help
.PHONY: help demo run test test-fast check format lint types lock clean ocpp-coverage schema bench-modbus bench-relay soak-relay soak-outage soak-profiles soak-site soak-fair bench-control fuzz stories \
    oracle oracle-mutants bench-composite bench-optimizer bench-optimizer-full bench-reference quirks ladder

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

$(VENV)/run: requirements/run.txt pyproject.toml
	@echo "setting up $(VENV) (product)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: requirements/dev.txt $(VENV)/run
	@echo "setting up $(VENV) (tests and linters)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/run  ## a whole site in one command: stations, CSMS, meter, broker, gateway (ends with Ctrl-C)
	$(BIN)/local-controller demo $(ARGS)

test: test-fast  ## all tests; those that need mosquitto, Node.js, tshark or Chromium say so when it is missing
	$(BIN)/python -m pytest -q -m e2e -n $(JOBS) --dist loadgroup $(ARGS) || [ $$? -eq 5 ]

# Tests of sockets wait in real time: one process more than cores, so that others compute meanwhile.
test-fast: $(VENV)/dev  ## without the end-to-end tests, on JOBS=2 cores
	$(BIN)/python -m pytest -q -m "not e2e" -n $$(($(JOBS) + 1)) --dist worksteal $(ARGS) || [ $$? -eq 5 ]

fuzz: $(VENV)/dev  ## the laws of messages and sessions with EFFORT=50 times as many inputs, and how many were tried
	EFFORT=$(or $(EFFORT),50) $(BIN)/python -m pytest -q --timeout 7200 tests/rpc tests/station/test_session_law.py \
	    tests/station/test_nonsense.py $(ARGS)

stories: $(VENV)/dev  ## acceptance stories in real time: a real process, real sockets, true physics (ARGS="2 5": only these)
	@$(BIN)/python -m tests.stories $(ARGS)

bench-composite: $(VENV)/dev  ## the composite of twenty profiles over a day, beside an evaluation second by second
	@$(BIN)/python -m benchmarks.composite

oracle: $(VENV)/dev  ## the composite engine against an evaluator written apart (ORACLE_EXAMPLES=10000 per version, ORACLE_FIRST=0)
	@$(BIN)/python -m tests.profiles.oracle --examples $(or $(ORACLE_EXAMPLES),10000) --first $(or $(ORACLE_FIRST),0) $(ARGS)

oracle-mutants: $(VENV)/dev  ## whether that evaluator finds each of some forty broken rules
	@$(BIN)/python -m tests.profiles.oracle_mutants

format: $(VENV)/dev  ## rewrites the code in the common style
	$(BIN)/ruff format . && $(BIN)/ruff check --fix-only -q .

lint: $(VENV)/dev  ## style and likely mistakes
	$(BIN)/ruff format --check . && $(BIN)/ruff check .

types: $(VENV)/dev  ## mypy --strict
	$(BIN)/mypy

check: lint types test  ## everything that must be green before a commit

schema: $(VENV)/run  ## regenerates site_configs/schema.json
	$(BIN)/local-controller schema > site_configs/schema.json

ocpp-coverage: $(VENV)/dev  ## regenerates docs/ocpp-coverage.md from the tests' markers
	$(BIN)/python docs/make_ocpp_coverage.py

ladder: $(VENV)/dev  ## redraws the states of a meter in docs/failsafe.md
	$(BIN)/python docs/make_ladder.py

quirks: $(VENV)/dev  ## plays a station of every record and regenerates docs/quirks.md (some minutes)
	$(BIN)/python docs/make_quirks.py --play

bench-optimizer: $(VENV)/dev  ## the optimizer beside perfect foresight and rules of thumb: one JSON object a figure (some minutes)
	@$(BIN)/python -m benchmarks.optimizer $(ARGS)

bench-optimizer-full: $(VENV)/dev  ## the same on recorded sessions (SESSIONS=FOLDER ARGS="--windows caltech:2018-09-05:2018-09-07")
	@$(BIN)/python -m benchmarks.optimizer --sessions $(or $(SESSIONS),$(error name the folder of recorded sessions: SESSIONS=FOLDER)) $(ARGS)

bench-reference: $(VENV)/dev  ## a plan's CPU beside the same one written with cvxpy and solved by Clarabel (installs both)
	@$(BIN)/pip install -q --require-hashes -r requirements/bench.txt
	@$(BIN)/python -m benchmarks.optimizer --parts ratio

bench-modbus: $(VENV)/dev  ## what two hundred Modbus points a second cost
	@$(BIN)/python -m benchmarks.modbus

bench-relay: $(VENV)/dev  ## the relay beside nginx and a naive relay: one JSON object a line (needs nginx, 2 cores; ARGS=--quick)
	@$(BIN)/python -m benchmarks.relay $(ARGS)

soak-relay: $(VENV)/dev  ## stations talk, come and go: what got lost, altered or duplicated? (MINUTES=10 STATIONS=500)
	@$(BIN)/python -m benchmarks.soak --minutes $(or $(MINUTES),10) --stations $(or $(STATIONS),500) $(ARGS)

bench-control: $(VENV)/dev  ## how soon fifty stations get less, and what that costs, in real time (five minutes)
	@$(BIN)/python -m benchmarks.control

soak-outage: $(VENV)/dev  ## the CSMS comes and goes, the gateway is killed: what that was confirmed got lost? (MINUTES=3 STATIONS=50)
	@$(BIN)/python -m benchmarks.outage_soak --minutes $(or $(MINUTES),3) --stations $(or $(STATIONS),50) $(ARGS)

soak-site: $(VENV)/dev  ## random sites, faults and limits in virtual time: does any fuse bear more than the goals allow? (HOURS=1000)
	@$(BIN)/python -m tests.scenarios.site_soak --hours $(or $(HOURS),1000) --jobs $(JOBS) $(ARGS)

soak-fair: $(VENV)/dev  ## random sites without faults in virtual time: does a car wait, or room stay unused, for nothing? (HOURS=100)
	@$(BIN)/python -m tests.scenarios.fair_soak --hours $(or $(HOURS),100) --jobs $(JOBS) $(ARGS)

soak-profiles: $(VENV)/dev  ## a CSMS uses smart charging in every way: does it notice us, does every limit hold? (OPS=100000)
	@$(BIN)/python -m benchmarks.profile_soak --operations $(or $(OPS),100000) $(ARGS)

lock: $(VENV)/dev  ## renews the hash-pinned requirement files (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --extra demo --group build pyproject.toml -o requirements/run.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --extra demo --group build --group dev pyproject.toml -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --extra demo --group build --group dev --group bench -c requirements/dev.txt pyproject.toml -o requirements/bench.txt

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
