# What a person or the CI types. Everything real is a script in tools/, perf/ or Tests/EndToEnd; each tells how it is used.

SWIFT ?= swift
APUS := .build/release/apus

RUN_PACKAGES := libxdp-dev libbpf-dev liburcu-dev pkg-config iproute2
TEST_PACKAGES := redis-server redis-tools python3 python3-redis python3-hiredis libhiredis-dev gcc libc6-dev \
	binutils valgrind iputils-ping ethtool procps util-linux python3-matplotlib chromium
BENCH_PACKAGES := redis-server redis-tools python3 ethtool procps util-linux binutils valgrind linux-perf
REPORT_PACKAGES := python3 python3-matplotlib

.DEFAULT_GOAL := help
.PHONY: help deps test-deps bench-deps report-deps build run test bench report differential synflood flamegraph instructions budgets sim format lint clean

help:
	@echo "make run           install what is missing, build, start the server (ARGS=\"--port 6380 ...\")"
	@echo "make test          install what is missing, build, run every test"
	@echo "make build         release build: $(APUS)"
	@echo "make deps          install the Debian packages that building and running need"
	@echo "make bench         the whole comparison with redis-server (QUICK=1, ROUNDS=3, PEER=/path/to/server, CLIENT=kernel)"
	@echo "make report        perf/out/report.html: what make bench measured, as charts"
	@echo "make differential  beside Linux's TCP on bad networks, hours in full (ARGS=\"--cells delay10 --rounds 3\")"
	@echo "make synflood      clients under a flood of forged SYNs (ROUNDS=5 RATE=20000)"
	@echo "make flamegraph    a flamegraph of each shard under load (LINK=xdp SECONDS=10); BASE=REVISION: what changed since"
	@echo "make instructions  instructions per request, by callgrind, against perf/budgets.json"
	@echo "make budgets       allocations, copied bytes and system calls per request, against perf/budgets.json"
	@echo "make sim           the whole server under simulated faults (ARGS=\"--seed 1\")"
	@echo "make fuzz          libFuzzer against the stack and the protocol (TIME=60 seconds a mode, 0: endless; ARGS=segments)"
	@echo "make sanitize      unit and simulation tests under AddressSanitizer and ThreadSanitizer (ARGS=thread)"
	@echo "make format        format all Swift sources in place"
	@echo "make clean         remove what was built"

deps:
	@tools/install-packages $(RUN_PACKAGES)

test-deps: deps
	@tools/install-packages $(TEST_PACKAGES)

bench-deps: deps
	@tools/install-packages $(BENCH_PACKAGES)

report-deps:
	@tools/install-packages $(REPORT_PACKAGES)

build: deps
	$(SWIFT) build -c release

run: build
	exec $(APUS) $(ARGS)

test: test-deps
	/usr/bin/python3 tools/run-tests $(ARGS)

bench: bench-deps build
	/usr/bin/python3 perf/bench

report: report-deps
	/usr/bin/python3 perf/report $(ARGS)

differential: bench-deps build
	/usr/bin/python3 perf/differential $(ARGS)

synflood: test-deps build
	/usr/bin/python3 perf/synflood

flamegraph: bench-deps build
	/usr/bin/python3 perf/flamegraph

instructions: test-deps build
	/usr/bin/python3 perf/instructions

budgets: test-deps build
	/usr/bin/python3 perf/budgets $(ARGS)

sim: build
	$(APUS) sim $(ARGS)

TIME ?= 60
fuzz: deps
	/usr/bin/python3 tools/fuzz --time $(TIME) $(ARGS)

sanitize: deps
	/usr/bin/python3 tools/sanitize $(ARGS)

format:
	$(SWIFT) format --in-place --recursive Sources Tests Package.swift

lint:
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift

clean:
	rm -rf .build perf/out
