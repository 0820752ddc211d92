# What is made from what. The numbers are in pipelines/*.toml; mcls does the work.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
MCLS   := $(BIN)/mcls
DATA   ?= ../shared/data
JOBS   ?= 2

# Recipes by dataset. Those in FOLDED are cross-validated over the column `fold`; philharmonia has
# parts, and tags beside its instruments.
RECIPES := $(basename $(notdir $(wildcard pipelines/*.toml)))
FOLDED  := esc10 mridangam fsdd
TARGETS := $(foreach d,$(FOLDED) philharmonia philharmonia-tags,$(addprefix $(d)-,$(RECIPES)))

.DEFAULT_GOAL := help
.PHONY: help install demo test test-all fuzz kills lint docs dictionaries nets zoo pretraining clean $(TARGETS)

help: ## list the targets
	@grep -hE '^[a-zA-Z0-9_%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 28
	@echo
	@echo 'Recipes, on recordings in DATA=$(DATA), with JOBS=$(JOBS); runs go to runs/:'
	@printf '  make %s\n' $(TARGETS)

install: $(VENV)/.installed ## make .venv with mcls in it

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install ## the main job on a synthetic set, about a minute
	$(MCLS) demo

test: install ## the tests but the slow ones
	$(BIN)/python -m pytest

test-all: install ## every test
	$(BIN)/python -m pytest -m ''

fuzz: install ## 5,000 damaged audio files, some minutes
	MCLS_FUZZ=5000 $(BIN)/python -m pytest -m slow -s tests/fuzz

kills: install ## 40 extractions, each killed until it is done
	MCLS_KILLS=40 $(BIN)/python -m pytest -m slow -s tests/test_extract.py -k killed

lint: install ## ruff, mypy, codespell
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/codespell mcls tests docs pipelines benchmarks *.md Makefile

docs: install ## docs/cli.md from the commands' own help
	$(BIN)/python docs/make_cli_reference.py

# A manifest and a store per recipe; then the recipe, once per fold or from train to test.
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

dictionaries: install ## docs/results/dictionaries-table.md, an hour or two
	@mkdir -p build
	$(BIN)/python docs/results/make_dictionaries.py $(DATA) --jobs $(JOBS) > build/dictionaries.md
	mv build/dictionaries.md docs/results/dictionaries-table.md

nets: install ## docs/results/nets-table.md, some hours
	@mkdir -p build
	$(BIN)/python docs/results/make_nets.py $(DATA) --jobs $(JOBS) > build/nets.md
	mv build/nets.md docs/results/nets-table.md

zoo: install ## docs/results/zoo-table.md, some hours
	@mkdir -p build
	$(BIN)/python docs/results/make_zoo.py $(DATA) --jobs $(JOBS) > build/zoo.md
	mv build/zoo.md docs/results/zoo-table.md

pretraining: install ## docs/results/pretraining-table.md, an hour
	@mkdir -p build
	$(BIN)/python docs/results/make_pretraining.py $(DATA) --jobs $(JOBS) > build/pretraining.md
	mv build/pretraining.md docs/results/pretraining-table.md

clean: ## remove what was made, not the audio
	rm -rf build runs
