# The front door. `make help` lists what there is.
CARGO ?= cargo
LOCKED := --locked

.PHONY: help demo test interop cameras soak bench cross cross-all size arm test-arm features release rooms deny advisories fmt lint page docs fuzz ci ci-waits ci-computes lab-arm badnet reproducible vendor packages deb test-deb

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## an emulated camera, a simulated cloud and the agent; open the printed address
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-lab -p ivt-tests --bins
	@target/debug/demo

# Twice as many tests at a time as there are processors, since most of them wait most of the time.
export RUST_TEST_THREADS ?= $(shell echo $$(($$(nproc) * 2)))

test: ## everything that needs nothing but the toolchain
	$(CARGO) test $(LOCKED) --workspace

interop: ## real foreign peers: nginx-rtmp, ffmpeg, gst-rtsp-server, live555, VLC, retina, Chromium, Autobahn
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-lab -p ivt-tests --bins --examples
	$(CARGO) build $(LOCKED) -p ivt-hal --example onvif --example slots
	$(CARGO) build $(LOCKED) -p ivt-media --features g711-aac --example segments --example frames
	$(CARGO) test $(LOCKED) -p ivt-media --features g711-aac --lib -- --include-ignored
	tests/interop/run

cameras: ## every camera of the field that misbehaves; writes docs/cameras.md (about 10 minutes)
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-lab --bins
	tests/interop/quirks

soak: ## kill -9 two hundred times while recording and while upgrading, at each system call of an upgrade, and ten minutes of idleness (about 55 minutes)
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-lab -p ivt-tests --bins --examples
	$(CARGO) build $(LOCKED) -p ivt-hal --example onvif --example slots
	$(CARGO) build $(LOCKED) -p ivt-media --features g711-aac --example segments --example frames
	IVT_MUTATIONS=1000000 $(CARGO) test $(LOCKED) -p ivt-agent --lib no_mutation_of_a_signature
	tests/interop/slots all
	IVT_FIRMWARE_KILLS=200 tests/interop/run "firmware: kill"
	tests/interop/idle 10
	tests/interop/kill 200

bench: ## figures of the agent against real peers, side by side (takes about 45 minutes, and its builds)
	tests/interop/setup
	cross/setup.sh x86_64-unknown-linux-musl
	cross/build x86_64-unknown-linux-musl full
	$(CARGO) build $(LOCKED) --release -p ivt-lab -p ivt-agent --bins
	$(CARGO) bench $(LOCKED) -p ivt-proto --bench hostile
	tests/bench/run $(BENCH)

badnet: ## what the agent does on bad networks: 4G, ADSL, satellite, Wi-Fi, a pulled cable; writes docs/badnet.md (about 25 minutes)
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-lab --bins
	tests/bench/badnet --write

TARGET ?= armv7-unknown-linux-musleabihf
PROFILE ?= full

cross: ## the agent for TARGET (default armv7-unknown-linux-musleabihf), PROFILE full or small, into target/cross
	cross/build $(TARGET) $(PROFILE)

cross-all: ## the agent for every target
	. cross/env && for target in $$TARGETS; do cross/build $$target $(PROFILE) || exit 1; done

size: ## what takes the room in the agent for TARGET; fails beyond cross/limits.toml
	cross/build $(TARGET) $(PROFILE)
	cross/size $(TARGET) $(PROFILE)

reproducible: ## two builds of TARGET on different paths and days, which have to have one hash (twice a build from nothing)
	cross/reproducible $(TARGET) $(PROFILE)

arm: ## build the agent for armv7 and aarch64, and run it under qemu-user against the simulators
	$(CARGO) build $(LOCKED) -p ivt-lab --bins
	cross/test armv7-unknown-linux-musleabihf agent 2038
	cross/test aarch64-unknown-linux-musl agent
	cross/size --top 12 armv7-unknown-linux-musleabihf
	cross/size --top 12 aarch64-unknown-linux-musl
	cross/test-errors

test-arm: ## unit tests and the agent on every processor that can be emulated, the small agent on armv7
	$(CARGO) build $(LOCKED) -p ivt-lab --bins
	. cross/env && for target in $$EMULATED; do cross/test $$target || exit 1; done
	. cross/env && for target in $$OTHERS; do [ -z "$$(runner $$target)" ] || cross/test $$target agent || exit 1; done
	cross/test armv7-unknown-linux-gnueabihf 2038
	cross/test $(TARGET) small

deb: ## Debian packages of agent and lab for armhf, arm64 and amd64 (or ARCHITECTURE), into target/deb
	packaging/deb/build --cross $(ARCHITECTURE)

test-deb: ## lintian, then install, start, use, upgrade, remove and purge the packages of target/deb in Debian roots; needs root
	packaging/deb/test $(ARCHITECTURE)

lab-arm: ## the lab on an emulated ARMv7: ivt-lab start all, its page in a browser, found by ONVIF (about 15 minutes with its build)
	tests/interop/setup
	cross/test $(TARGET) lab

features: ## clippy for every set of features that ships
	for features in "" linux onvif pattern profiles sandbox tls ui update linux,onvif,pattern,profiles,sandbox,tls,ui,update linux,onvif,pattern,profiles,sandbox,tls,ui,update,g711-aac; do \
		$(CARGO) clippy $(LOCKED) -p ivt-agent --no-default-features --features "$$features" -- -D warnings || exit 1; done

vendor: ## the sources with all crates in one archive, for Buildroot, OpenWrt and Yocto; then a build of it without a network
	packaging/vendor --try

packages: ## what Buildroot, OpenWrt and Yocto read, by their parsers as far as there are any (half a minute)
	$(CARGO) build $(LOCKED) -p ivt-agent --bin ivt-agent
	packaging/test

release: ci features cross-all reproducible vendor test-arm deb test-deb lab-arm soak ## what a release must pass beside ci; takes hours
	$(MAKE) size PROFILE=small
	. cross/env && for target in $$TARGETS; do cross/size --top 12 $$target || exit 1; done

rooms: ## who may import whom: rooms each other, and files within a room
	cross/rooms
	tests/rooms/circles

deny: ## licences, bans and sources of what we depend on (deny.toml), and the tests of the bill of materials
	cross/supply/deny
	cross/supply/test

advisories: ## known vulnerabilities of what we depend on; fetches their database
	cross/supply/deny advisories

fmt: ## check the formatting
	$(CARGO) fmt --all --check

lint: ## clippy, warnings denied
	$(CARGO) clippy $(LOCKED) --workspace --all-targets -- -D warnings

page: ## types, rules and texts of the pages' scripts (tests/interop/setup fetches what it needs)
	page/check/run

docs: ## documentation, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc $(LOCKED) --workspace --no-deps

fuzz: ## 20 s of hostile input for each fuzz target of proto, hal and media (four minutes)
	tests/fuzz/run

ci: fmt rooms deny page lint ## all gates; what waits (test, interop) runs beside what computes (docs, fuzz, the ARM builds)
	$(CARGO) test $(LOCKED) --workspace --no-run
	$(MAKE) --jobs=3 ci-waits ci-computes
	$(MAKE) arm

# Neither may build what the other one is running: the programs in target/debug are those of ci-waits alone.
ci-waits:
	$(MAKE) test
	$(MAKE) interop
	packaging/test

ci-computes:
	nice -n 19 $(MAKE) docs
	nice -n 19 $(MAKE) fuzz
	nice -n 19 cross/build armv7-unknown-linux-musleabihf full
	nice -n 19 cross/build aarch64-unknown-linux-musl full
