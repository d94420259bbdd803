#!/usr/bin/env bash
# Make sure that Java 17 or newer is on the PATH: Spark needs it, and pip cannot bring it.
set -euo pipefail

found="$(java -XX:-UsePerfData -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p' | head -n 1 || true)"
if [[ -n "$found" && "$found" -ge 17 ]]; then
    exit 0
fi
if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
    echo "Java 17+ is missing (found: ${found:-none}); installing openjdk-17-jre-headless ..."
    apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless >/dev/null
    exit 0
fi
echo "Java 17 or newer is needed by Spark (found: ${found:-none})." >&2
echo "On Debian or Ubuntu: sudo apt-get install openjdk-17-jre-headless; on macOS: brew install openjdk@17" >&2
exit 1
