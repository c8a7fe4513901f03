# The front door. `make help` lists what there is.
CARGO ?= cargo
LOCKED := --locked

.PHONY: help demo test interop cameras soak bench cross cross-all size arm test-arm features release rooms deny advisories fmt lint page docs fuzz ci

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## an emulated camera, a simulated cloud and the agent; open the printed address
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-sim -p ivt-tests --bins
	@target/debug/demo

test: ## everything that needs nothing but the toolchain
	$(CARGO) test $(LOCKED) --workspace

interop: ## real foreign peers: nginx-rtmp, ffmpeg, gst-rtsp-server, live555, VLC, retina, Chromium, Autobahn
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-sim -p ivt-tests --bins --examples
	$(CARGO) build $(LOCKED) -p ivt-hal --example onvif --example slots
	$(CARGO) build $(LOCKED) -p ivt-media --features g711-aac --example segments --example frames
	$(CARGO) test $(LOCKED) -p ivt-media --features g711-aac --lib -- --include-ignored
	tests/interop/run

cameras: ## every camera of the field that misbehaves; writes docs/cameras.md (about 10 minutes)
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-sim --bins
	tests/interop/quirks

soak: ## kill -9 two hundred times while recording and while upgrading, at each system call of an upgrade, and ten minutes of idleness (about 55 minutes)
	tests/interop/setup
	$(CARGO) build $(LOCKED) -p ivt-agent -p ivt-sim -p ivt-tests --bins --examples
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
	$(CARGO) build $(LOCKED) --release -p ivt-sim -p ivt-agent --bins
	$(CARGO) bench $(LOCKED) -p ivt-proto --bench hostile
	tests/bench/run $(BENCH)

TARGET ?= armv7-unknown-linux-musleabihf
PROFILE ?= full

cross: ## the agent for TARGET (default armv7-unknown-linux-musleabihf), PROFILE full or small, into target/cross
	cross/build $(TARGET) $(PROFILE)

cross-all: ## the agent for every target
	. cross/env && for target in $$TARGETS; do cross/build $$target $(PROFILE) || exit 1; done

size: ## what takes the room in the agent for TARGET; fails beyond cross/limits.toml
	cross/build $(TARGET) $(PROFILE)
	cross/size $(TARGET) $(PROFILE)

arm: ## build the agent for armv7 and aarch64, and run it under qemu-user against the simulators
	$(CARGO) build $(LOCKED) -p ivt-sim --bins
	cross/test armv7-unknown-linux-musleabihf agent 2038
	cross/test aarch64-unknown-linux-musl agent
	cross/size --top 12 armv7-unknown-linux-musleabihf
	cross/size --top 12 aarch64-unknown-linux-musl
	cross/test-errors

test-arm: ## unit tests and the agent on every processor that can be emulated, the small agent on armv7
	$(CARGO) build $(LOCKED) -p ivt-sim --bins
	. cross/env && for target in $$EMULATED; do cross/test $$target || exit 1; done
	. cross/env && for target in $$OTHERS; do [ -z "$$(runner $$target)" ] || cross/test $$target agent || exit 1; done
	cross/test armv7-unknown-linux-gnueabihf 2038
	cross/test $(TARGET) small

features: ## clippy for every set of features that ships
	for features in "" linux onvif pattern profiles tls ui update linux,onvif,pattern,profiles,tls,ui,update linux,onvif,pattern,profiles,tls,ui,update,g711-aac; do \
		$(CARGO) clippy $(LOCKED) -p ivt-agent --no-default-features --features "$$features" -- -D warnings || exit 1; done

release: ci features cross-all test-arm soak ## what a release must pass beside ci; takes hours
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

ci: fmt rooms deny page lint test docs fuzz interop arm ## all gates, in the order of their cost
