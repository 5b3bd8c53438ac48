#!/usr/bin/env bash
# Connects to MCP servers that others have written, over stdio and HTTP, and prints their tools as Exuvia names them.
# Installs them from npm and PyPI into target/interop. Usage: tests/interop/upstreams.sh [EXUVIA]
set -euo pipefail
cd "$(dirname "$0")/../.."
exuvia=$(realpath "${1:-target/debug/exuvia}")
folder=$PWD/target/interop
mkdir -p "$folder/files"
cd "$folder"

if [ ! -d node_modules ]; then
    npm install --no-fund --no-audit --no-save \
        @modelcontextprotocol/server-everything @modelcontextprotocol/server-filesystem @modelcontextprotocol/server-memory
fi
if [ ! -x python/bin/mcp-server-git ]; then
    python3 -m venv python
    python/bin/pip install --quiet mcp-server-time mcp-server-git
fi
if [ ! -d repository ]; then
    git init --quiet repository
fi

modules=$folder/node_modules/@modelcontextprotocol
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
PORT=$port node "$modules/server-everything/dist/index.js" streamableHttp >everything.log 2>&1 &
everything=$!
trap 'kill "$everything"' EXIT
until grep -q "$port" everything.log; do
    kill -0 "$everything"
    sleep 0.1
done

cat >mcp.json <<JSON
{
  "mcpServers": {
    "everything": {"command": "node", "args": ["$modules/server-everything/dist/index.js", "stdio"]},
    "everything-http": {"url": "http://127.0.0.1:$port/mcp"},
    "filesystem": {"command": "node", "args": ["$modules/server-filesystem/dist/index.js", "$folder/files"]},
    "memory": {"command": "node", "args": ["$modules/server-memory/dist/index.js"],
               "env": {"MEMORY_FILE_PATH": "$folder/memory.json"}},
    "time": {"command": "$folder/python/bin/mcp-server-time"},
    "git": {"command": "$folder/python/bin/mcp-server-git", "args": ["--repository", "$folder/repository"]}
  }
}
JSON
"$exuvia" mcp test --mcp-config mcp.json
