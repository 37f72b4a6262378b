# make demo: the whole pipeline on the embedded corpus. make test: the tests. make help: the rest.
PYTHON ?= python3
VENV := .venv
VENV_DOCS := .venv-docs
VENV_AUDIT := .venv-audit
VENV_MUTANTS := .venv-mutants
DEMO := .demo
RECIPE ?=
PROFILE ?= smoke
PAPER_SMOKE := paper/.smoke
TABLES := .tables
PYTEST_ARGS ?=
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo test coverage faults mutants audit check lint docs repro paper record tables bench-train bench-eval images images-check images-cuda-check

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

install: $(VENV)/.installed ## .venv with the pinned dependencies; nothing outside the checkout
	@test -x "$$(sed -n '1s/^#!//p' $(VENV)/bin/dvc)" || \
		{ echo "error: $(VENV) was made in another folder, or by a Python that is gone: rm -r $(VENV), and run this again"; exit 1; }

# Not bin/python: where Debian lacks python3-venv, that is there and pip is not.
$(VENV)/.installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "error: Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@echo "installing the pinned dependencies into $(VENV) (minutes, once)"
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.installed-tests: requirements-tests.txt $(VENV)/.installed
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r requirements-tests.txt
	@touch $@

demo: install ## the whole pipeline on the embedded corpus, in a clone of its own under .demo/
	@test -d $(DEMO)/.git || git clone --quiet . $(DEMO)
	@git -C $(DEMO) fetch --quiet "$(CURDIR)" HEAD
	@git cat-file -e "$$(git -C $(DEMO) rev-parse HEAD)" 2>/dev/null || echo "note: $(DEMO) had commits that the checkout has not; git -C $(DEMO) reflog names them"
	@git -C $(DEMO) reset --quiet --hard FETCH_HEAD
	@git diff --quiet HEAD || echo "note: the demo runs the last commit; uncommitted changes are not in it"
	@rm -rf $(DEMO)/results/evaluate # what an earlier recipe left there would be an input of the report
	@cd $(DEMO) && python -m pipeline.recipes demo --write && dvc repro
	@cat $(DEMO)/results/report/summary.txt
	@git -C $(DEMO) diff --quiet HEAD -- dvc.lock && echo "every output has the bytes of the committed dvc.lock" \
		|| echo "dvc.lock differs from the committed one (another kind of processor or thread count)"
	@echo "report: $(DEMO)/results/report/report.html"

# A process for each core; a module stays in one, so that what it prepares is made once.
SPREAD := -n auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

test: install $(if $(SLOW),$(VENV)/.installed-tests) ## the tests; SLOW=1 adds the slow ones
	@python -m pytest $(SPREAD) $(if $(SLOW),,-m "not slow") $(PYTEST_ARGS)

coverage: $(VENV)/.installed-tests ## all tests, and which branches of pipeline/ they reach (90% at least)
	@python -m pytest $(SPREAD) --cov $(PYTEST_ARGS)

faults: install ## kills, full disks, damage, hostile input: docs/reliability.md, many times over
	@SLLAMA_FAULTS=full python -m pytest tests/faults tests/security $(PYTEST_ARGS)

mutants: $(VENV_MUTANTS)/.installed ## do the tests notice small changes of the code? mutmut; JOBS=1, WHICH='pipeline.paper.*'
	@$(VENV_MUTANTS)/bin/mutmut run --max-children $(or $(JOBS),1) $(WHICH)
	@$(VENV_MUTANTS)/bin/mutmut results

# It sees the packages of .venv, and adds mutmut to them.
$(VENV_MUTANTS)/.installed: requirements-mutants.txt $(VENV)/.installed
	@test -x $(VENV_MUTANTS)/bin/pip || $(VENV)/bin/python -m venv $(VENV_MUTANTS)
	@site='import sysconfig; print(sysconfig.get_path("purelib"))' && \
		$(VENV)/bin/python -c "$$site" > "$$($(VENV_MUTANTS)/bin/python -c "$$site")/packages.pth"
	@$(VENV_MUTANTS)/bin/python -m pip install --quiet --disable-pip-version-check -c requirements.txt -r requirements-mutants.txt
	@touch $@

# Loaders of YAML and places that load models are judged more closely by tests/security/test_source.py; the
# report marks as safe only the drawings and the style sheet that it made itself.
BANDIT_SKIP := B506,B615,B704

audit: $(VENV_AUDIT)/.installed ## known weaknesses: bandit over the code, hadolint over the Dockerfile, pip-audit over the pins
	@$(VENV_AUDIT)/bin/bandit --quiet --recursive --severity-level medium --skip $(BANDIT_SKIP) pipeline stages docker
	@$(VENV_AUDIT)/bin/hadolint Dockerfile
	@$(VENV_AUDIT)/bin/python tests/security/audit.py requirements.txt

$(VENV_AUDIT)/.installed: requirements-audit.txt
	@test -x $(VENV_AUDIT)/bin/pip || $(PYTHON) -m venv $(VENV_AUDIT)
	@$(VENV_AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-audit.txt
	@touch $@

lint: install ## ruff and mypy
	@ruff format --check .
	@ruff check .
	@mypy

check: lint ## lint, audit (where its tools can be installed), the quick tests
	@if $(MAKE) --no-print-directory $(VENV_AUDIT)/.installed; then $(MAKE) --no-print-directory audit; \
		else echo "audit: NOT DONE, its tools cannot be installed here"; fi
	@python -m pytest $(SPREAD) -m "not slow" $(PYTEST_ARGS)

docs: site/index.html ## the documentation site in site/, from an environment of its own
	@echo "site/index.html"

site/index.html: $(VENV_DOCS)/.installed mkdocs.yml params.yaml dvc.yaml pipeline/config.py $(wildcard docs/* docs/*/*)
	@NO_MKDOCS_2_WARNING=1 $(VENV_DOCS)/bin/mkdocs build --strict --quiet
	@touch $@

$(VENV_DOCS)/.installed: requirements-docs.txt
	@test -x $(VENV_DOCS)/bin/pip || $(PYTHON) -m venv $(VENV_DOCS)
	@$(VENV_DOCS)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-docs.txt
	@touch $@

repro: install ## dvc repro; RECIPE=name first writes that recipe into params.yaml
	@$(if $(RECIPE),git diff --quiet HEAD -- params.yaml || echo "note: params.yaml differs from the last commit; the recipe changes its own keys and leaves the others")
	@$(if $(RECIPE),python -m pipeline.recipes $(RECIPE) --write)
	@dvc repro

paper: install ## the paper's tables; PROFILE=smoke (toy size, in a clone of its own), cpu, choices, standin or full
ifeq ($(PROFILE),smoke)
	@test -d $(PAPER_SMOKE)/.git || git clone --quiet . $(PAPER_SMOKE)
	@git -C $(PAPER_SMOKE) fetch --quiet "$(CURDIR)" HEAD && git -C $(PAPER_SMOKE) reset --quiet --hard FETCH_HEAD
	@git diff --quiet HEAD || echo "note: this profile runs the last commit; uncommitted changes are not in it"
	@# The lock of another profile would be read and written at each stage; more threads gain nothing at toy size.
	@# Nearly all of the time is start-up of stages, one at a time in a `dvc repro`: half of the rows each, side by side. (At dvc's own 255 xargs would not wait for the other.)
	@cd $(PAPER_SMOKE) && rm -f paper/dvc.lock && python -m pipeline.paper smoke && export OMP_NUM_THREADS=1 && \
		dvc repro paper/dvc.yaml:encode paper/dvc.yaml:paper_benchmarks && \
		printf '%s\n' 'paper/dvc.yaml:*@[a-l]* paper/dvc.yaml:paper_speed' 'paper/dvc.yaml:*@[!a-l]*' | \
			xargs -P 2 -L 1 sh -c 'dvc --wait-for-lock repro -s --glob "$$@" || exit 1' dvc && \
		dvc repro paper/dvc.yaml
	@echo "tables: $(PAPER_SMOKE)/paper/report/tables.html"
else
	@git diff --quiet HEAD -- params.yaml recipes || echo "note: params.yaml or recipes/ differ from the last commit; every row starts from them"
	@python -m pipeline.paper $(PROFILE) && dvc repro paper/dvc.yaml
	@echo "tables: paper/report/tables.html"
endif

record: install ## put the runs of paper/runs.csv on record: adds them to paper/ledger.csv
	@python -m pipeline.paper.record

tables: install ## the paper's tables of the runs on record (paper/ledger.csv), in .tables/: seconds, nothing is trained; PROFILE=name selects that one first
	@$(if $(filter command environment,$(origin PROFILE)),python -m pipeline.paper $(PROFILE))
	@git diff --quiet HEAD -- params.yaml recipes paper/params.yaml || echo "note: params.yaml, recipes/ or paper/params.yaml differ from the last commit; runs of another recipe do not count"
	@python -m stages.paper_plan --out $(TABLES)/plan --quiet
	@python -m stages.paper_report --plan $(TABLES)/plan --ledger paper/ledger.csv --results paper/results --models paper/models \
		--tokens paper/data/tokens/tokens.json --speed paper/speed.json --out $(TABLES)/tables --metrics $(TABLES)/metrics.json --runs $(TABLES)/runs.csv --quiet
	@echo "tables: $(TABLES)/tables/tables.html"

bench-train: install ## own training step against the released one; the last line is the ratio
	@python -m bench.train

bench-eval: install ## the fast scorer against stock lm-eval; the last line is the ratio
	@python -m stages.benchmarks --quiet --task blimp_filtered --out .bench/blimp_filtered
	@python -m bench.evaluate --data .bench/blimp_filtered $(BENCH_ARGS)

images: ## sllama-data, sllama-train, sllama-eval for docker; TORCH_VARIANT=cpu|cuda, TAG=latest
	@python3 docker/build.py --variant $(or $(TORCH_VARIANT),cuda) --tag $(or $(TAG),latest)

images-check: install ## build the CPU images, run the chain in them; starts an engine if none runs (root)
	@python docker/check.py $(CHECK_ARGS)

images-cuda-check: install ## build the CUDA image and import torch in it
	@python docker/check.py --cuda
