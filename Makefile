# Two commands set everything up: `make demo` and `make test`.
# PYTHON=... names the interpreter to build the environment with; it must be 3.12 or newer.

VENV := .venv
STAMP := $(VENV)/.installed
RUN := $(VENV)/bin/
CANDIDATES := $(PYTHON) python3 python3.13 python3.12 python
CHECK := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 12))

.PHONY: demo test lint notebooks figures benchmarks lock clean help

help:
	@echo "make demo   the example table through everything (into out/demo)"
	@echo "make test   the test suite"
	@echo "make lint   formatting, linters, strict types"
	@echo "make notebooks  run the notebooks and keep their output"
	@echo "make figures    the figure of the priors in the card of two-pool"
	@echo "make benchmarks  speed, studies left out, robustness, calibration, missing SDs, scenarios, two pools, recorded"
	@echo "make lock   write constraints.txt anew from pyproject.toml"

demo: $(STAMP)
	$(RUN)mcpbayes demo --out out/demo --overwrite

test: $(STAMP)
	$(RUN)python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy

notebooks: $(STAMP)
	$(RUN)jupyter-execute --inplace notebooks/01-*.ipynb notebooks/02-*.ipynb notebooks/04-*.ipynb
	@if [ -f "$${MCPBAYES_DATA:-notebooks}/sndb_database_data.csv" ]; then \
	  $(RUN)jupyter-execute --inplace notebooks/03-*.ipynb; \
	else echo "notebooks/03-real-database.ipynb is left as it is: set MCPBAYES_DATA to the folder of its download"; fi

figures: $(STAMP)
	$(RUN)python -c "import pathlib, mcpbayes as mb; \
	  pathlib.Path('docs/two-pool-prior.png').write_bytes(mb.plots.as_png(mb.plots.prior_trajectories(), dpi=110))"

benchmarks: $(STAMP)
	$(RUN)python -m benchmarks.speed
	$(RUN)python -m benchmarks.left_out
	$(RUN)python -m benchmarks.robustness
	$(RUN)python -m benchmarks.calibration
	$(RUN)python -m benchmarks.calibration --coverage
	$(RUN)python -m benchmarks.orthants
	$(RUN)python -m benchmarks.scenarios
	$(RUN)python -m benchmarks.scenario_calibration
	$(RUN)python -m benchmarks.missing_sds
	$(RUN)python -m benchmarks.two_pool
	@if [ -n "$${ENGINES}" ]; then $(RUN)python -m benchmarks.engines $${ENGINES}; \
	else echo "records of benchmarks.engines are left as they are: ENGINES='table database' names its tables"; fi

lock:
	uv pip compile pyproject.toml --group dev --universal --python-version 3.12 --generate-hashes --no-header -o constraints.txt

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache .hypothesis

# An interpreter counts only if it can really make an environment: a system python3 may be too old or lack ensurepip.
$(STAMP): pyproject.toml constraints.txt
	@set -e; \
	for python in $(CANDIDATES); do \
	  if "$$python" -c '$(CHECK)' >/dev/null 2>&1; then \
	    echo "Setting up $(VENV) with $$("$$python" --version) ($$python)"; \
	    "$$python" -m venv --clear $(VENV); \
	    $(RUN)python -m pip install --quiet --require-hashes -r constraints.txt; \
	    $(RUN)python -m pip install --quiet --no-deps --no-build-isolation -e .; \
	    touch $(STAMP); exit 0; \
	  fi; \
	done; \
	if command -v uv >/dev/null 2>&1; then \
	  echo "Setting up $(VENV) with uv"; \
	  uv venv --quiet --clear $(VENV); \
	  uv pip install --quiet --python $(VENV) --require-hashes -r constraints.txt; \
	  uv pip install --quiet --python $(VENV) --no-deps --no-build-isolation -e .; \
	  touch $(STAMP); exit 0; \
	fi; \
	echo "mcpbayes needs Python 3.12 or newer with venv and ensurepip; none was found. Name one: make PYTHON=/path/to/python3.12 demo" >&2; \
	exit 1
