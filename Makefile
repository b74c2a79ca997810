# Everything is reached from here. PYTHON is any Python from 3.11 on; the rest is installed into .venv.
PYTHON ?= python3
STUDYLIB := .venv/bin/studylib

.PHONY: quickstart study test bench lab clean
.DEFAULT_GOAL := quickstart

quickstart: .venv/installed ## run params/quickstart.yaml, write reports/quickstart.html
	$(STUDYLIB) run params/quickstart.yaml

study: .venv/installed ## run params/study.yaml, write reports/study.html
	$(STUDYLIB) run params/study.yaml

test: .venv/installed ## check the style, run the tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/python -m pytest --numprocesses 2 --dist loadfile

bench: .venv/installed ## measure: figures and ratios on this machine
	set -e; for file in tests/benchmarks/bench_*.py; do .venv/bin/python $$file; done

lab: .venv/installed ## open the notebooks in JupyterLab
	.venv/bin/jupyter lab notebooks

clean: ## remove the environment and everything that git does not keep
	rm -rf .venv
	git clean -fdX reports

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@
