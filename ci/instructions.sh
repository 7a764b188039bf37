#!/usr/bin/env bash
# Instructions of the hot paths (instructions/benches/paths.rs), held to those of another revision built here and now by
# the same compiler. Fails if a path takes more than 2 % more. Neither load nor the machine matters.
#
#   ci/instructions.sh HEAD^     what is in the work tree, against the commit before
#   ci/instructions.sh           only the counts
#
# Needs valgrind (Debian: apt-get install valgrind); installs gungraun's runner under target/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v valgrind >/dev/null || { echo "valgrind is not installed (Debian: apt-get install valgrind)" >&2; exit 69; }

version=$(sed -n '/^name = "gungraun"$/{n;s/^version = "\(.*\)"$/\1/p}' instructions/Cargo.lock)
tools=$PWD/target/gungraun-$version
[[ -x $tools/bin/gungraun-runner ]] || cargo install --quiet --locked --root "$tools" --version "$version" gungraun-runner
export GUNGRAUN_RUNNER=$tools/bin/gungraun-runner
# One place for both revisions: what they count is compared, and what they depend on is built once.
export CARGO_TARGET_DIR=$PWD/target/instructions GUNGRAUN_HOME=$PWD/target/instructions/counts

count() { cargo bench --quiet --manifest-path instructions/Cargo.toml -- "$@"; }

if [[ $# -eq 0 ]]; then
    count
    exit
fi
before=$(git rev-parse --verify --quiet "$1^{commit}") || { echo "there is no revision '$1'" >&2; exit 64; }
there=$(mktemp -d)
trap 'git worktree remove --force "$there"' EXIT
git worktree add --quiet --detach "$there" "$before"
(cd "$there" && count --save-baseline=before)
count --baseline=before --callgrind-limits=ir=2%
