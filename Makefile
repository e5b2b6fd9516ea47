# Everything here needs only Python (3.11 or later), git and make: `make help`.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
DEMO := .demo
BENCH := .bench
BENCH_OPTIONS ?= --json bench-results/bench.json

# Hundreds of pools start in the tests: without its bytecode each compiles the packages anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo chaos chaos-sqlite explore prove bench docs screenshots lint test tests test-busy test-all clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## make the environment in .venv

# An environment with an extra of pyproject.toml: $(call environment,directory,extra)
define environment
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "taskq needs Python 3.11 or later; name one with PYTHON=")'
$(PYTHON) -m venv $(1)
$(1)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[$(2)]'
@touch $@
endef

$(READY): pyproject.toml
	$(call environment,$(VENV),dev)
	# It asks for Celery, for which taskq.celery stands in the tests.
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps django-celery-email
	@touch $@

$(DEMO)/.ready: pyproject.toml
	$(call environment,$(DEMO),demo)

$(DEMO)/.ready-chaos: pyproject.toml
	$(call environment,$(DEMO),stress)

demo: $(DEMO)/.ready ## real work through real crashes, in half a minute (DATABASE_URL= to choose the database)
	$(DEMO)/bin/python -m stress demo

SECONDS ?= 60
SEED ?= 7
FAULTS ?= all
chaos: $(DEMO)/.ready-chaos ## break everything for a minute and count (SECONDS=, SEED=, FAULTS=, DATABASE_URL=)
	$(DEMO)/bin/python -m stress chaos --seconds $(SECONDS) --seed $(SEED) --faults $(FAULTS) -c 4 \
		--database-url "$(DATABASE_URL)"

chaos-sqlite: $(DEMO)/.ready-chaos ## the same on SQLite, with ten seeds
	for seed in 1 2 3 4 5 6 7 8 9 10; do \
		home=$$(mktemp -d) && $(MAKE) chaos SEED=$$seed SECONDS=30 DATABASE_URL=sqlite:///$$home/chaos.sqlite3 \
		&& rm -r $$home || exit 1; \
	done

EXPLORE := $(PY) -m stress explore
explore: $(READY) ## every order of statements: of any two actors all, and of more 100,000 that are drawn
	$(EXPLORE) --pairs
	$(EXPLORE) --seed 1 --orders 50000 & other=$$!; $(EXPLORE) --seed 2 --orders 50000 && wait $$other

prove: $(READY) ## take out one protection at a time: the checker must see each
	$(PY) -m stress prove

lint: $(READY) lint-workflows ## ruff, mypy --strict, spelling and plain words, the workflow files
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy taskq pool stress
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/codespell
	$(PY) -m tests.old_words

SCHEMA := $(VENV)/bin/check-jsonschema --quiet --builtin-schema
lint-workflows: $(READY) ## the files for GitHub: their form, and what makes a workflow unsafe
	$(SCHEMA) vendor.github-workflows .github/workflows/*.yml
	$(SCHEMA) vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/idea.yml
	$(SCHEMA) vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(SCHEMA) vendor.dependabot .github/dependabot.yml
	$(VENV)/bin/zizmor --quiet --offline .github

# Tests wait more than they work: both databases at the same time, with more processes than cores.
# Those on SQLite take half as long, so with half the processes both end at about the same time.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(2 + os.cpu_count())')
PYTEST = $(PY) -m pytest --dist loadfile --no-loadscope-reorder
# Lint leaves a core idle. Meanwhile pytest compiles the test files, which else each process does.
test: $(READY) ## lint, types, then all tests on PostgreSQL and on SQLite (what CI runs)
	TASKQ_TEST_DB=sqlite $(PYTEST) --collect-only >/dev/null 2>&1 & $(MAKE) lint && wait && $(MAKE) tests

tests: $(READY) ## the tests without lint (JOBS= processes on PostgreSQL, half as many on SQLite)
	log=$$(mktemp); TASKQ_TEST_DB=sqlite $(PYTEST) -n $$((($(JOBS) + 1) / 2)) >$$log 2>&1 & sqlite=$$!; \
	$(PYTEST) -n $(JOBS); failed=$$?; wait $$sqlite || failed=1; echo "on SQLite:"; cat $$log; rm $$log; exit $$failed

test-busy: $(READY) ## the tests beside eight busy loops, on a database that is slow to commit
	$(PY) -m tests.busy $(MAKE) tests

test-all: prove explore ## the matrix: Python 3.11 to 3.13, Django 5.2 to 6.1 and its own tests, both PostgreSQLs; prove, explore
	$(PY) -m tests.matrix

docs: $(READY) ## the site of docs/, in build/site: a warning is an error
	$(PY) -m zensical build --clean --strict

screenshots: $(READY) ## the pictures of the docs: the admin, taskq_top, the report of chaos (needs chromium)
	$(PY) -m tests.site.screenshots

bench: $(BENCH)/.ready ## how fast, beside PostgreSQL itself and other queues (BENCH_OPTIONS="--quick")
	$(BENCH)/bin/python -m stress bench $(BENCH_OPTIONS)

$(BENCH)/.ready: pyproject.toml
	$(call environment,$(BENCH),bench)

clean: ## remove what was made here
	rm -rf $(VENV) $(DEMO) $(BENCH) bench-results .matrix build *.egg-info .cache .mypy_cache .pytest_cache .hypothesis .ruff_cache demo-report.json
