# Every target sets up what it needs: a virtual environment in .venv with the locked versions.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo replay test test-web lint format bench bench-control faults kills soak proofs conformance validate lock clean
.DELETE_ON_ERROR:

$(VENV)/.ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -r requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

demo: $(VENV)/.ready  ## a whole experiment on the simulated atom probe, about 90 s
	$(BIN)/evapd run config/sim.yaml

replay: $(VENV)/.ready  ## 100 000 tungsten hits through the same path
	$(BIN)/evapd run config/replay-tungsten.yaml

# More workers than the two cores of a small machine: tests of drivers wait more than they compute. Whole experiments and
# faults have the machine for themselves: some of what they measure is time.
test: $(VENV)/.ready
	$(BIN)/python -m pytest tests/unit tests/wire tests/conformance -n $(or $(WORKERS),3) --dist=loadfile
	$(BIN)/python -m pytest tests/e2e tests/faults

# Chromium comes from Debian, axe-core from npm; both are for tests only.
$(VENV)/axe/.ready: $(VENV)/.ready
	npm install --silent --no-audit --no-fund --prefix $(VENV)/axe axe-core@4
	touch $@

.PHONY: chromium
chromium:
	command -v chromium > /dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core; }

# EVAPD_PAGE_HOURS=8 feeds the page as many frames as eight hours bring.
test-web: $(VENV)/.ready $(VENV)/axe/.ready chromium  ## the page in a real browser, about 4 minutes
	$(BIN)/python -m pytest tests/web '--override-ini=norecursedirs=.*'

lint: $(VENV)/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.ready chromium  ## measured numbers beside the goals, the machine named
	$(BIN)/python -m pytest tests/bench '--override-ini=norecursedirs=.*' -m bench -s -q --no-header

# EVAPD_SEEDS=3 for a quick look; PAGE=docs/control.md PICTURES=docs/control writes tables and pictures where they stand.
bench-control: $(VENV)/.ready  ## the control laws in virtual time against goals, oracle and plain laws, about 10 minutes
	PYTHONPATH=tests $(BIN)/python -m support.control_bench $(if $(PAGE),--page $(PAGE)) $(if $(PICTURES),--pictures $(PICTURES))

# PAGE=docs/faults.md writes the table where it stands; EVAPD_KILLS and EVAPD_SOAK_S make it longer.
faults: $(VENV)/.ready  ## wall-clock fault suite: reaction times, rise of the voltage, nothing lost; about 35 minutes
	EVAPD_WALL_CLOCK=1 $(if $(PAGE),EVAPD_FAULTS_PAGE=$(PAGE)) $(BIN)/python -m pytest tests/faults -q --no-header

# KILLS=20 for a quick look; PAGE=docs/reliability.md writes the table where it stands.
kills: $(VENV)/.ready  ## kill -9 of acquire and of the guard, 100 times each: every written frame is read back; about 40 minutes
	EVAPD_KILLS=$(or $(KILLS),100) $(if $(PAGE),EVAPD_PROOF_PAGE=$(PAGE)) $(BIN)/python -m pytest tests/faults/test_kill_journal.py -s -q --no-header

# SOAK_S=600 for a shorter one, Ctrl-C ends it early; it writes 18 MB of journal a second and removes them; PAGE as above.
soak: $(VENV)/.ready  ## half an hour at 200 000 hits/s with words and 3 subscribers: nothing lost, memory flat
	EVAPD_SOAK_S=$(or $(SOAK_S),1800) $(if $(PAGE),EVAPD_PROOF_PAGE=$(PAGE)) $(BIN)/python -m pytest tests/faults/test_proof_soak.py -s -q --no-header

# All at full length but the soak; one that fails does not keep the others from being run. KILLS=20 and PAGE as above.
PROOF = $(if $(PAGE),EVAPD_PROOF_PAGE=$(PAGE)) $(BIN)/python -m pytest -s -q --no-header -o timeout=0
proofs: $(VENV)/.ready  ## kills, mutated messages, failing disks, clock steps, subscribers, strangers; about an hour
	failed=0; \
	EVAPD_MUTATIONS=100000 $(PROOF) tests/unit/test_rpc_mutations.py || failed=1; \
	EVAPD_CHURN_S=60 EVAPD_STALL_S=20 $(PROOF) tests/faults/test_proof_subscribers.py || failed=1; \
	EVAPD_STRANGERS_S=60 $(PROOF) tests/faults/test_proof_strangers.py || failed=1; \
	EVAPD_WALL_CLOCK=1 $(PROOF) tests/faults/test_faults_machine.py -k "disk or segment or clock" || failed=1; \
	EVAPD_KILLS=$(or $(KILLS),100) $(PROOF) tests/faults/test_kill_journal.py || failed=1; \
	exit $$failed

conformance: $(VENV)/.ready  ## every driver through the kit with 10 000 random replies of each kind, about half an hour
	EVAPD_CONFORMANCE_REPLIES=10000 $(BIN)/python -m pytest tests/conformance/test_kit.py -o timeout=0 -q

validate: $(VENV)/.ready  ## finished files of every kind through two NeXus validators in an environment of their own
	PYTHONPATH=tests $(BIN)/python -m support.validators build/validate

lock:  ## refresh the locked versions (needs uv)
	uv pip compile --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	    --extra dev pyproject.toml -o requirements-dev.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
