# Everything here needs a Python >= 3.11, make, and a package index: each target makes
# the environment it uses, inside the clone, when pyproject.toml has changed.
#
#   make demo                       make test ARGS='-k half_open'
#   make test PYTHON=python3.13     (`make clean` first, to change the interpreter)

PYTHON ?= python3
ARGS ?=

SCRIPTS := .ci/run $(wildcard tools/get-*)

.DEFAULT_GOAL := help
.PHONY: help demo test coverage lint format types completeness contracts check bench bench-peers \
	bench-detection bench-everywhere recovery traps proof mutants integrations-lowest news clean
.DELETE_ON_ERROR:

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

# --- environments -----------------------------------------------------------------------

define require_python
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "recloser needs Python >= 3.11; say which: make PYTHON=/path/to/python" >&2; exit 1; }
endef

# EXTRAS says what goes in. The pip of a new environment may be too old for its interpreter.
define environment
$(require_python)
$(PYTHON) -m venv $(@D)
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(EXTRAS)]'
@touch $@
endef

.venv/stamp: EXTRAS := full
.venv/stamp: pyproject.toml
	$(environment)

.venv-tools/stamp: EXTRAS := lint,types
.venv-tools/stamp: pyproject.toml
	$(environment)

.venv-mutants/stamp: EXTRAS := mutants,test
.venv-mutants/stamp: pyproject.toml
	$(environment)

.venv-demo/stamp: EXTRAS := demo
.venv-demo/stamp: pyproject.toml
	$(environment)

.venv-bench/stamp: EXTRAS := bench,peers
.venv-bench/stamp: pyproject.toml
	$(environment)

.venv-rivals/stamp: EXTRAS := bench,rivals
.venv-rivals/stamp: pyproject.toml
	$(environment)

# --- what people run --------------------------------------------------------------------

demo: .venv-demo/stamp ## the main job: a failing service, with and without a breaker
	.venv-demo/bin/recloser demo $(ARGS)

test: .venv/stamp ## the whole suite
	.venv/bin/python -m pytest --numprocesses=auto $(ARGS)

coverage: .venv/stamp ## the whole suite, with branch coverage: 100 % of what decides
	.venv/bin/python -m coverage erase
	.venv/bin/python -m coverage run -m pytest $(ARGS)
	.venv/bin/python -m coverage combine --quiet
	.venv/bin/python -m coverage report
	.venv/bin/python -m coverage report --include='*/_core/*,*/_runtime/*' --fail-under=100

lint: .venv-tools/stamp ## ruff (rules and format) and shellcheck
	.venv-tools/bin/ruff check .
	.venv-tools/bin/ruff format --check .
	.venv-tools/bin/shellcheck $(SCRIPTS)

format: .venv-tools/stamp ## let ruff repair and format what it can
	.venv-tools/bin/ruff check --fix .
	.venv-tools/bin/ruff format .

# The checkers live apart from what they check, but resolve imports where that is installed.
types: .venv/stamp .venv-tools/stamp ## mypy and pyright, both strict
	.venv-tools/bin/mypy --python-executable .venv/bin/python
	.venv-tools/bin/pyright --pythonpath .venv/bin/python

completeness: .venv/stamp .venv-tools/stamp ## how much of the public interface has known types
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv-tools/bin/pyright --verifytypes recloser --ignoreexternal

contracts: .venv-tools/stamp ## which package may import which
	.venv-tools/bin/lint-imports --no-logo

check: lint types contracts test ## what a change has to pass

bench: .venv-bench/stamp ## our figures, and each facade beside its original
	.venv-bench/bin/python -m benchmarks $(ARGS)

bench-peers: .venv-rivals/stamp ## our figures beside those of every rival
	.venv-rivals/bin/python -m benchmarks --peers $(ARGS)

bench-everywhere: .venv-bench/stamp ## the same on every interpreter found
	.venv-bench/bin/python -m benchmarks --interpreters $(ARGS)

bench-detection: .venv-bench/stamp ## how quiet and how fast trip rules are, simulated
	.venv-bench/bin/python -m benchmarks.detection $(ARGS)

recovery: .venv-bench/stamp ## the simulation of outages behind docs/recovery.md
	.venv-bench/bin/python -m benchmarks.recovery $(ARGS)

traps: .venv-rivals/stamp ## the pitfall list, given to us and to every rival
	.venv-rivals/bin/python -m benchmarks.traps $(ARGS)

proof: .venv/stamp ## every proof at length: properties, interleavings, faults (minutes)
	HYPOTHESIS_PROFILE=thorough .venv/bin/python -m pytest --core --numprocesses=auto $(ARGS)

mutants: .venv-mutants/stamp ## plant bugs one at a time: does a test notice? (hours)
	CI=1 .venv-mutants/bin/mutmut run $(ARGS)
	.venv-mutants/bin/python tools/write-proof --measure mutants

integrations-lowest: .venv-lowest/stamp ## integrations with the oldest libraries they promise
	.venv-lowest/bin/python -m pytest --numprocesses=auto tests/integrations tests/listeners $(ARGS)

.venv-lowest/stamp: pyproject.toml tools/lowest-bounds
	$(require_python)
	$(PYTHON) -m venv --clear $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(@D)/bin/python tools/lowest-bounds integrations > $(@D)/constraints.txt
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint $(@D)/constraints.txt --editable '.[test,integrations]'
	@touch $@

news: .venv-tools/stamp ## the changelog entry that the fragments in news/ make
	.venv-tools/bin/towncrier build --draft --version next

# Another interpreter: make core-tests-on-3.13t PYTHON=/path/to/python3.13t
# Its pip may be missing or too old, so ours installs; where a package has no wheel for a
# rare build, an older release with one will do.
core-tests-on-%: .venv-core-on-%/stamp
	$(<D)/bin/python -m pytest --core --numprocesses=auto $(ARGS)

tests-on-%: .venv-full-on-%/stamp
	$(<D)/bin/python -m pytest --numprocesses=auto $(ARGS)

define other_environment
$(require_python)
$(PYTHON) -m venv --without-pip --clear $(@D)
.venv/bin/python -m pip --python $(@D)/bin/python install --quiet \
	--disable-pip-version-check --prefer-binary --editable '.[$(1)]'
@touch $@
endef

.venv-core-on-%/stamp: pyproject.toml | .venv/stamp
	$(call other_environment,test)

.venv-full-on-%/stamp: pyproject.toml | .venv/stamp
	$(call other_environment,full)

.PRECIOUS: .venv-core-on-%/stamp .venv-full-on-%/stamp

clean: ## remove environments, caches and reports
	rm -rf .venv .venv-* build dist htmlcov mutants demo-output .coverage .coverage.* \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
