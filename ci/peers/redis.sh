#!/usr/bin/env bash
# Redis Streams (C): in memory, with each command appended to a file. That file is never written anew here: what is
# measured only grows, so that the copy of all memory would only cost it time.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"
from_debian redis-server redis-server
if [[ $1 == install ]]; then
    version=$("$program" --version)
    version=${version##*v=}
    echo "redis memory Redis Streams ${version%% *}"
    exit
fi
case $4 in
    never) sync=no ;;
    ms:1000) sync=everysec ;;
    always) sync=always ;;
    *) cannot "Redis flushes never, every second or always" ;;
esac
become "$program" --bind 127.0.0.1 --port "$2" --dir "$3" --logfile "$3/log" --save '' \
    --appendonly yes --appendfsync "$sync" --auto-aof-rewrite-percentage 0
