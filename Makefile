# Targets for installing, testing and reproducing the results. The settings of the recipes are in pipelines/*.toml.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MCLS   := $(BIN)/mcls
DATA   ?= ../shared/data
JOBS   ?= 2

# One target per dataset and recipe. Datasets in FOLDED are cross-validated over the column `fold`;
# philharmonia has fixed parts, and is run for its instruments and for its tags.
RECIPES := $(basename $(notdir $(wildcard pipelines/*.toml)))
FOLDED  := esc10 mridangam fsdd
TARGETS := $(foreach d,$(FOLDED) philharmonia philharmonia-tags,$(addprefix $(d)-,$(RECIPES)))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all fuzz kills lint docs site tutorial dictionaries nets zoo pretraining clean $(TARGETS)

help: ## List the targets
	@grep -hE '^[a-zA-Z0-9_%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 28
	@echo
	@echo 'Run a recipe on the recordings in DATA=$(DATA) with JOBS=$(JOBS) processes; the run is written to runs/:'
	@printf '  make %s\n' $(TARGETS)

install: $(VENV)/.installed ## Create .venv and install mcls into it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## Run the main commands on synthetic music (about a minute)
	$(MCLS) demo

test: install ## Run all tests except the slow ones (a few minutes)
	$(BIN)/python -m pytest

test-all: install ## Run every test
	$(BIN)/python -m pytest -m ''

fuzz: install ## Read 5,000 damaged audio files and 10,000 others (half an hour)
	MCLS_FUZZ=5000 MCLS_FUZZ_FILES=10000 $(BIN)/python -m pytest -m slow -s tests/fuzz

kills: install ## Kill every command that writes, 320 times, and 40 extractions (minutes)
	MCLS_KILLS=320 $(BIN)/python -m pytest -m slow -s tests/test_workspace.py -k kills
	MCLS_KILLS=40 $(BIN)/python -m pytest -m slow -s tests/test_extract.py -k killed

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

# Write the manifest, extract the features of the recipe, then run the recipe once per fold or from train to test.
build/%.csv: | install
	@mkdir -p build
	$(MCLS) data prepare $* $(DATA)/$* $@

define on_folds
$(1)-$(2): build/$(1).csv
	$$(MCLS) -c pipelines/$(2).toml extract $$< build/$(1)-$(2).h5 --split fold --jobs $$(JOBS)
	$$(MCLS) cv pipelines/$(2).toml build/$(1)-$(2).h5 runs/$(1)-$(2) --split fold
endef
$(foreach d,$(FOLDED),$(foreach r,$(RECIPES),$(eval $(call on_folds,$(d),$(r)))))

define on_parts
$(1)$(3)-$(2): build/$(1).csv
	$$(MCLS) -c pipelines/$(2).toml extract $$< build/$(1)-$(2).h5 --jobs $$(JOBS)
	$$(MCLS) cv pipelines/$(2).toml build/$(1)-$(2).h5 runs/$(1)$(3)-$(2) --split split --labels $(4)
endef
$(foreach r,$(RECIPES),$(eval $(call on_parts,philharmonia,$(r),,labels)))
$(foreach r,$(RECIPES),$(eval $(call on_parts,philharmonia,$(r),-tags,tags)))

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
