# Everything is reached from here. PYTHON is a Python that requirements.lock can be installed with; the rest is in .venv.
PYTHON ?= python3
STUDYLIB := .venv/bin/studylib
PYTEST := .venv/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help quickstart study verify check test test-all bench lab clean clean-results
.DEFAULT_GOAL := quickstart

help: ## print the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

quickstart: .venv/installed ## run params/quickstart.yaml, write reports/quickstart.html (what make does without a target)
	$(STUDYLIB) run params/quickstart.yaml

study: .venv/installed ## run params/study.yaml, write reports/study.html
	$(STUDYLIB) run params/study.yaml

verify: .venv/installed ## derive the published tables and page from what is kept, train a drawn sample again (10 minutes)
	$(STUDYLIB) verify reports/study

check: .venv/installed ## style, types, doctests and the quick tests, in two minutes
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	$(PYTEST) --quick --doctest-modules src tests

test: check ## make check, then the tests that train, start processes, kernels or a browser, or read real data
	$(PYTEST) --slow tests

test-all: test ## make test, then the attacks: kills, full disks, thousands of odd inputs (30 minutes)
	$(PYTEST) --attack tests/attack

bench: .venv/installed ## measure: figures and ratios on this machine
	set -e; for file in tests/benchmarks/bench_*.py; do .venv/bin/python $$file; done

lab: .venv/installed ## open the notebooks in JupyterLab
	.venv/bin/jupyter lab notebooks

clean: ## remove the environment and the caches, no result
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache
	find src tests notebooks -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

clean-results: ## remove what git does not keep of reports/: tables, pages, trained cells and models; asks first
	@git clean -ndX reports
	@printf 'Remove all of these? What was trained has to be trained again. [y/N] '; read answer; \
	if [ "$$answer" = y ]; then git clean -fdXq reports; else echo 'Nothing was removed.'; fi

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { echo "Python 3.11, 3.12 or 3.13 is needed, for which there is all of requirements.lock, and $(PYTHON) is another or none: make PYTHON=/path/to/python3.13"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
