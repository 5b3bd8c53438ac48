"""The compiler commands of a meson or make build, so that an audit can ask the compiler again with other warnings."""

import json
import os
import re
import shlex
import subprocess
from concurrent.futures import ThreadPoolExecutor


def from_meson(folder):
    """(working directory, arguments, source) of each C or C++ file, once."""
    seen = set()
    with open(f"{folder}/compile_commands.json") as file:
        for entry in json.load(file):
            command = shlex.split(entry["command"])
            if entry["file"] not in seen and "wasi-c" in command[0]:
                seen.add(entry["file"])
                yield entry["directory"], command, entry["file"]


def from_log(log, folder):
    """The same from what make printed."""
    seen = set()
    with open(log, errors="replace") as file:
        for line in file:
            if re.match(r"clang-\d+ .* -c ", line):
                command = shlex.split(line)
                source = next((a for a in command if a.endswith(".c")), None)
                if source and source not in seen:
                    seen.add(source)
                    yield folder, command, source


def without_output(command):
    """The command without what it writes."""
    command = [a for a in command if a not in ("-MD", "-MMD")]
    for option in ("-o", "-MQ", "-MF", "-MT"):
        if option in command:
            at = command.index(option)
            del command[at : at + 2]
    return command


def diagnostics(entries, ask):
    """Runs ask(directory, command, source) -> (command, stdin) for each entry; the distinct lines of warnings and errors."""

    def one(entry):
        command, text = ask(entry[0], without_output(entry[1]), entry[2])
        result = subprocess.run(command, cwd=entry[0], input=text, capture_output=True, text=True)
        return [line for line in result.stderr.splitlines() if re.search(r"(warning|error):", line)]

    found = {}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for lines in pool.map(one, entries):
            for line in lines:
                found[line] = None
    return sorted(found)
