#!/usr/bin/env bash
# Builds target/pgo/logquake: the release build, optimised by a profile of what it does in simulations. It does the same,
# run for run and trace for trace, with 1.5 times as many simulated seconds per CPU-second: for sweeps that take hours.
# Builds twice and runs each scenario in between.
#
# Needs LLVM's llvm-profdata of the compiler's LLVM version: `rustup component add llvm-tools`, or its path in LLVM_PROFDATA.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
host=$(rustc -vV | sed -n 's/^host: //p')
profdata=${LLVM_PROFDATA:-$(rustc --print sysroot)/lib/rustlib/$host/bin/llvm-profdata}
[[ -x $profdata ]] || { echo "there is no $profdata: rustup component add llvm-tools, or set LLVM_PROFDATA" >&2; exit 69; }

export CARGO_PROFILE_RELEASE_DEBUG=0
pgo=$PWD/target/pgo
# What an exported RUSTFLAGS overrides is in .cargo/config.toml. With a target, build scripts are built without the flags.
build() {
    RUSTFLAGS="--cfg tokio_unstable $1" cargo build --release --bin logquake --target "$host" --target-dir "$pgo/$2"
    cp "$pgo/$2/$host/release/logquake" "$3"
}

rm -rf "$pgo"/{raw,profile}
build "-Cprofile-generate=$pgo/raw" generate "$pgo/profiled"
# A red run is profiled as well as a green one.
"$pgo/profiled" sweep --seeds 0..3 || true
"$profdata" merge --output "$pgo/profile" "$pgo/raw"
build "-Cprofile-use=$pgo/profile" use "$pgo/logquake"
rm -rf "$pgo/raw" "$pgo/profiled"
