# make demo      the guard at work: a mock model API, the sidecar, a minute of traffic
# make test      everything that must hold; what CI runs
# make bench     costs, as ratios measured in one run
# make bench-peers  the guard beside other middlewares and proxies, each in its own environment
# make evaluate  labelled traffic: what is caught, and what it costs everybody else
# make properties  every property with a thousand other examples
# make fuzz      every reader of others' bytes, fuzzed for FUZZ_SECONDS each
# make soak      load, reloads, faults and kills for SOAK_MINUTES (10), every decision checked
# make mutants   SAMPLE (300) small changes to the core, each of which some test must notice
# make audit     is anything that the package installs known to be broken
#
# Every target installs what it needs into .venv. Needs Python 3.11 or later with venv; nothing else.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
# Least branch coverage in percent of the parts that decide, by their own tests.
COVER  ?= 97
CORE   := */gateway_guard/core/*,*/gateway_guard/signals/*,*/gateway_guard/campaigns/*,*/gateway_guard/stores/*,*/gateway_guard/accounts/*
# Tests that measure seconds, which tracing for coverage doubles: they run untraced, one at a time.
TIMED  := takes_a_second or in_no_time or is_linear or takes_no_time
# A test that fails is repeated once, shown with its traceback; more than three such fail the run.
RERUN  := --reruns 1 --rerun-show-tracebacks
# Tests at a time: one more than the two cores CI has, as many of them wait for servers. Whoever has
# nothing left takes over from others, or the last minutes are one worker's.
JOBS   ?= 3
SPREAD := -n $(JOBS) --dist worksteal
# The client for Node that is tested; the last that runs on Node 20.
NODE_OPENAI := 6.49.0
# Narrows `make wheel` and `make unit` to some tests while working on them.
TESTS  ?=

# A suite of many processes loads the same modules hundreds of times.
unexport PYTHONDONTWRITEBYTECODE

# Seconds for each target of `make fuzz`; FUZZ='usage paths' names some of them.
FUZZ_SECONDS ?= 60
FUZZ ?=

# Changes tried by `make mutants`, and which: another SEED draws others. MUTANTS='limits paths' keeps
# to modules of such names.
SAMPLE ?= 300
SEED   ?= 1
MUTANTS ?=

# Minutes of `make soak`; 1 will do while working on it.
SOAK_MINUTES ?= 10

DEMO_SECONDS ?= 60
DEMO_FOREVER ?= 0

# Labelled traffic and its scorer, where they are not in ../shared; more options of the evaluation,
# e.g. EVALUATE='--sets dev --leave-out' (python -m tests.evaluate --help).
DATA     ?=
SCORE    ?=
EVALUATE ?=
# Options of the comparison (python -m tests.peers --help).
PEERS    ?=

.PHONY: help venv demo test lint types unit tree installed suite wheel compiled compiled-wheel compiled-suite servers node bench bench-compiled bench-peers evaluate properties fuzz soak mutants audit clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# //p' Makefile | head -n 9

venv: $(STAMP)

# Written last, so an interrupted installation is taken up again.
$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 3; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "The venv module is missing: apt-get install python3-venv"; exit 3; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --no-compile --editable '.[sidecar,redis]' --group dev
	@touch $@

demo: $(STAMP)
	DEMO_SECONDS=$(DEMO_SECONDS) DEMO_FOREVER=$(DEMO_FOREVER) $(BIN)/gateway-guard demo

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy --strict

# Everything but what starts servers, against the tree: quick, while working.
unit: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) -m 'not e2e' $(TESTS)

# What can only be told of a checkout: what is packed, what imports what, what the pages say.
tree: $(STAMP)
	$(BIN)/python -m pytest -n $(JOBS) $(RERUN) tests/test_*.py

# What users install: the wheel, in a virtual environment of its own, with the tree nowhere on the
# path. First without extras, as for offline work; then with the sidecar, and every test but the
# benchmarks; its coverage is shown where it is not enough.
installed: $(STAMP)
	rm -rf build/wheel && mkdir -p build/wheel/run
	$(BIN)/python -m build --wheel --outdir build/wheel .
	$(PYTHON) -m venv build/wheel/venv
	build/wheel/venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/wheel/venv/bin/python -m pip install --quiet --no-compile build/wheel/*.whl
	cp -r tests examples policies pyproject.toml README.md CHANGELOG.md SECURITY.md build/wheel/run/
	rm -rf build/wheel/run/tests/bench
	if [ -d ../shared ]; then ln -s "$(abspath ../shared)" build/wheel/shared; fi
	cd build/wheel/run && ../venv/bin/python -I tests/cli/without_extras.py
	build/wheel/venv/bin/python -m pip install --quiet --no-compile "$$(ls build/wheel/*.whl)[sidecar,redis]" --group dev

wheel: installed
	$(MAKE) suite

# The tests of what is installed there.
suite:
	cd build/wheel/run && ../venv/bin/python -m pytest --import-mode=importlib $(RERUN) -k '$(TIMED)' $(TESTS)
	cd build/wheel/run && SCREENS=$(CURDIR)/build/screens \
		../venv/bin/python -m pytest --import-mode=importlib $(SPREAD) $(RERUN) -k 'not ($(TIMED))' \
		--cov --cov-report= $(TESTS)
	@cd build/wheel/run && ../venv/bin/python -m coverage report --include='$(CORE)' --skip-covered \
		--show-missing --fail-under=$(COVER) > ../../coverage-core.txt \
		|| { cat ../../coverage-core.txt; exit 1; }

# The tree first: what it finds is found within seconds. What takes one processor a minute each is
# done at once.
test: servers node lint tree
	$(MAKE) --jobs 2 --output-sync=target types installed
	$(MAKE) suite

# The shared store and the gateways are tested against real servers, pages in a real browser, and one
# benchmark compares the sidecar with nginx; where one is missing, what needs it is skipped and says
# why.
servers:
	@missing=; for one in redis-server:redis-server nginx:nginx-light haproxy:haproxy \
		chromium:chromium chromedriver:chromium-driver prometheus:prometheus; do \
		PATH=$$PATH:/usr/sbin command -v $${one%%:*} >/dev/null || missing="$$missing $${one#*:}"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $$missing \
			|| echo "could not be installed:$$missing; what needs them is skipped"; \
	else \
		echo "missing, and only root can install them:$$missing; what needs them is skipped"; \
	fi

# OpenAI's client for Node, run against the sidecar; without npm, or off line, that is skipped.
node: build/node/node_modules/openai

build/node/node_modules/openai:
	@if ! command -v npm >/dev/null; then echo "npm is missing; what needs it is skipped"; \
	else mkdir -p build/node && npm install --silent --no-audit --no-fund --prefix build/node \
		openai@$(NODE_OPENAI) || echo "openai@$(NODE_OPENAI) could not be installed; what needs it is skipped"; fi

bench: $(STAMP) servers
	$(BIN)/python -m tests.bench

# The wheel whose busiest files are compiled to C. Made from the source distribution, so that nothing
# compiled is left in the tree.
compiled-wheel: $(STAMP)
	rm -rf build/compiled && mkdir -p build/compiled/run
	HATCH_BUILD_HOOKS_ENABLE=1 $(BIN)/python -m build --outdir build/compiled .

# Every test of what is compiled, against that wheel as it is installed.
compiled: compiled-wheel servers
	$(PYTHON) -m venv build/compiled/venv
	build/compiled/venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/compiled/venv/bin/python -m pip install --quiet "$$(ls build/compiled/*.whl)[sidecar,redis]" --group dev
	cp -r tests examples policies pyproject.toml README.md CHANGELOG.md SECURITY.md build/compiled/run/
	cd build/compiled/run && ../venv/bin/python -m pytest --import-mode=importlib $(SPREAD) $(RERUN) \
		-k 'not ($(TIMED))' $(addprefix tests/,accounts campaigns contracts core frontends golden intel network \
		policy property record signals stores test_guard.py test_guard_keys.py test_guard_store.py \
		$(addprefix e2e/test_,forwarding.py websockets.py upstream_faults.py hostile_framing.py hostile_heads.py))

# Of those, what takes a minute; after `make installed compiled-wheel`. The files of that wheel go before the installed ones.
compiled-suite:
	$(BIN)/python -m zipfile -e build/compiled/*.whl build/compiled/files
	cd build/wheel/run && export PYTHONPATH=$(CURDIR)/build/compiled/files \
		&& ../venv/bin/python -c 'from gateway_guard.core import decide; assert decide.__file__.endswith(".so")' \
		&& ../venv/bin/python -m pytest --import-mode=importlib $(SPREAD) $(RERUN) -k 'not ($(TIMED))' \
		$(addprefix tests/,core frontends stores/test_memory.py e2e/test_upstream_faults.py)

# What compiling saves: the same table from both, in turns.
bench-compiled: $(STAMP) servers
	test -d build/compiled/run/tests || $(MAKE) compiled
	for turn in 1 2; do \
		$(BIN)/python -m tests.bench middleware; \
		(cd build/compiled/run && ../venv/bin/python -m tests.bench middleware); \
	done

# The guard beside what else is used for parts of its work, each in an environment of its own under
# build/peers, which the first run makes; PEERS='--rounds 3 --only Envoy nginx' for less,
# PEERS=--readme to write table and picture down. With `make compiled` before, that build, too.
bench-peers: $(STAMP) servers
	$(BIN)/python -m tests.peers $(PEERS)

# Labelled traffic replayed through the recommended policy and two baselines, scored. Traffic and
# scorer do not come with this repository.
evaluate: $(STAMP)
	$(BIN)/python -m tests.evaluate $(if $(DATA),--data $(DATA)) $(if $(SCORE),--score $(SCORE)) $(EVALUATE)

# `make test` tries the same hundred examples of each property again and again; these are new ones.
properties: $(STAMP) servers
	$(BIN)/python -m pytest $(SPREAD) -m hypothesis --hypothesis-profile explore $(TESTS)

# What is found is kept in tests/fuzz/corpus, which `make test` replays.
fuzz: $(STAMP)
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(BIN)/python -m pip install --quiet --group fuzz \
		|| echo "atheris could not be installed; fuzzing goes on without coverage"
	$(BIN)/python -m tests.fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

# Everything at once, against real servers; says what it saw, and ends with 1 if anything broke.
soak: $(STAMP) servers
	SOAK_MINUTES=$(SOAK_MINUTES) $(BIN)/python -m tests.soak

# Changes are made in memory, in a copy of the tree; survivors are left in build/mutants.
mutants: $(STAMP)
	$(BIN)/python -m pip install --quiet --group mutants
	$(BIN)/python -m tests.mutation --sample $(SAMPLE) --seed $(SEED) --verbose $(MUTANTS)

# What a user gets with every extra, looked up one by one; says so where it cannot be looked up.
audit: $(STAMP)
	$(BIN)/python -m pip install --quiet --group audit
	rm -rf build/audit && $(PYTHON) -m venv build/audit
	build/audit/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	build/audit/bin/python -m pip install --quiet '.[all]'
	$(BIN)/python -m tests.supply.audit build/audit/bin/python

clean:
	rm -rf build dist $(STAMP) .mypy_cache .ruff_cache .coverage
