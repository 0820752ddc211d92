# Targets for installing, testing and reproducing the results. The settings of the recipes are in pipelines/*.toml.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MCLS   := $(BIN)/mcls
DATA   ?= ../shared/data
JOBS   ?= 2

# Each dataset with its column of folds or parts. make DATASET-RECIPE prepares the dataset in DATA/DATASET, extracts
# the features of the recipe and runs it; on the dataset of its paper, with the split of its paper.
RECIPES  := $(basename $(notdir $(wildcard pipelines/*.toml)))
DATASETS := esc10=fold esc50=fold urbansound8k=fold fsdd=fold mridangam=fold philharmonia=split \
            gtzan=split ballroom=fold extended-ballroom=fold ismir04=split homburg=fold fma=split \
            magnatagatune=lee-nam mtg-jamendo=split-0 cal500=fold openmic=split nsynth=split irmas=split \
            medley-solos-db=split speech-commands=split tinysol=fold

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all wheel-check fuzz kills lint docs site tutorial bench dictionaries nets zoo pretraining clean

help: ## List the targets
	@grep -hE '^[a-zA-Z0-9_%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 28
	@echo
	@echo 'Run a recipe on the dataset in DATA/DATASET with JOBS processes; the run is written to runs/DATASET-RECIPE:'
	@echo '  make DATASET-RECIPE DATA=$(DATA) JOBS=$(JOBS)'
	@printf '\nDatasets:'; printf ' %s' $(foreach d,$(DATASETS),$(firstword $(subst =, ,$(d)))) philharmonia-tags
	@printf '\nRecipes:'; printf ' %s' $(RECIPES); echo

install: $(VENV)/.installed ## Create .venv and install mcls into it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## Run the main commands on synthetic music (about a minute)
	$(MCLS) demo

test: install ## Run all tests except the slow ones, on two cores (a few minutes)
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-all: install ## Run every test
	$(BIN)/python -m pytest -m ''

fuzz: install ## Read 5,000 damaged audio files and 10,000 others (half an hour)
	MCLS_FUZZ=5000 MCLS_FUZZ_FILES=10000 $(BIN)/python -m pytest -m slow -s tests/fuzz

kills: install ## Kill every command that writes, 320 times, and 40 extractions (minutes)
	MCLS_KILLS=320 $(BIN)/python -m pytest -m slow -s tests/test_workspace.py -k kills
	MCLS_KILLS=40 $(BIN)/python -m pytest -m slow -s tests/test_extract.py -k killed

wheel-check: ## Run the wheel in an empty folder, on each Python here and with the lowest versions
	.ci/wheel-check

lint: install ## Run ruff, mypy and codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell mcls tests docs pipelines benchmarks *.md Makefile

docs: install ## Rebuild the generated reference pages in docs/
	$(BIN)/python docs/make_cli_reference.py
	$(BIN)/python docs/make_nets_table.py
	$(BIN)/python docs/make_datasets_table.py

site: install ## Build the documentation as a site, build/site/start.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

tutorial: install ## Run the tutorial and the how-to pages, and write what they print into them
	$(BIN)/python docs/make_tutorial.py

# Kept, as several recipes read it.
.PRECIOUS: build/%.csv
build/%.csv: | install
	@mkdir -p build
	$(MCLS) data prepare $* $(DATA)/$* $@

# Arguments: the name in the target, the dataset, its split and its labels.
define on_dataset
$(1)-%: build/$(2).csv pipelines/%.toml
	$$(MCLS) -c pipelines/$$*.toml extract $$< build/$(2)-$$*.h5 --split $(3) --jobs $$(JOBS)
	$$(MCLS) cv pipelines/$$*.toml build/$(2)-$$*.h5 runs/$$@ $$(if $$(call has_own,$$*,$(2)),,--split $(3) --labels $(4))
endef
has_own = $(and $(shell grep -x 'dataset = "$(2)"' pipelines/$(1).toml),$(shell grep ^split pipelines/$(1).toml))
of = $(word $(1),$(subst =, ,$(2)))
$(foreach d,$(DATASETS),$(eval $(call on_dataset,$(call of,1,$(d)),$(call of,1,$(d)),$(call of,2,$(d)),labels)))
$(eval $(call on_dataset,philharmonia-tags,philharmonia,split,tags))

bench: install ## Print the speed beside peers on one page (some minutes)
	$(BIN)/python -m pip install --quiet faiss-cpu spams-bin
	$(BIN)/python benchmarks/page.py

dictionaries: install ## Rebuild docs/results/dictionaries-table.md (an hour or two)
	@mkdir -p build
	$(BIN)/python docs/results/make_dictionaries.py $(DATA) --jobs $(JOBS) > build/dictionaries.md
	mv build/dictionaries.md docs/results/dictionaries-table.md

nets: install ## Rebuild docs/results/nets-table.md (some hours)
	@mkdir -p build
	$(BIN)/python docs/results/make_nets.py $(DATA) --jobs $(JOBS) > build/nets.md
	mv build/nets.md docs/results/nets-table.md

zoo: install ## Rebuild docs/results/zoo-table.md (some hours)
	@mkdir -p build
	$(BIN)/python docs/results/make_zoo.py $(DATA) --jobs $(JOBS) > build/zoo.md
	mv build/zoo.md docs/results/zoo-table.md

pretraining: install ## Rebuild docs/results/pretraining-table.md (an hour)
	@mkdir -p build
	$(BIN)/python docs/results/make_pretraining.py $(DATA) --jobs $(JOBS) > build/pretraining.md
	mv build/pretraining.md docs/results/pretraining-table.md

clean: ## Remove build/ and runs/; the audio stays
	rm -rf build runs
