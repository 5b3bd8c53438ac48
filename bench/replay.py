#!/usr/bin/env python3
"""What kept journals take on the disk, and how long `exuvia show` and `exuvia replay` take:
`bench/replay.py target/release/exuvia-under-test [effects]`. Beside the binary must be `upstream-for-tests`, as for `durability.py`.
"""

import os
import subprocess
import tempfile
import time

from durability import BINARY, MANY, URL, Place, ask, execute, submit, wait

JOBS = 200
READS = "import time\nfor n in range(10_000):\n    time.time()"
CALLS = "for n in range(100):\n    mcp_Counts_look(key=f'k/{n}')"
BOTH = f"import time\nfor n in range({MANY} // 2):\n    time.sleep(0.000001)\n    time.time() if n % 10 else mcp_Counts_look(key='x')"


def size(folder):
    """Bytes that the files of a folder take."""
    return sum(os.stat(os.path.join(place, name)).st_blocks * 512 for place, _, names in os.walk(folder) for name in names)


def journal(uuid):
    while True:
        found = ask(f"/v1/executions/{uuid}/timeline")["journal"]
        if found["bytes"]:
            return found["bytes"]


def took(*arguments):
    began = time.monotonic()
    done = subprocess.run([BINARY, *arguments, "--url", URL], capture_output=True, text=True)
    assert done.returncode == 0, done
    return time.monotonic() - began, done


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder)
        place.start()
        execute("mcp_Counts_look(key='warm')")
        # What was under way when the end was told is written some milliseconds later.
        for name, script, of, count in (("a clock reading", READS, "readings", 10_000), ("a call that reads", CALLS, "calls", 100)):
            uuid = submit(script)
            assert wait(uuid)["success"]
            time.sleep(0.1)
            print(f"{name}: {journal(uuid) / count:.1f} bytes of journal each, of {count} {of}")
        before = size(f"{folder}/data/store")
        for _ in range(JOBS):
            wait(submit(CALLS))
        time.sleep(1)
        print(f"a job of 100 calls: {(size(f'{folder}/data/store') - before) / JOBS / 1024:.1f} KiB of the store, over {JOBS} jobs")
        before = size(f"{folder}/data/store")
        for _ in range(JOBS):
            execute(CALLS)
        time.sleep(1)
        print(f"the same as executeCode, without a journal: {(size(f'{folder}/data/store') - before) / JOBS / 1024:.1f} KiB")
        uuid = submit(BOTH)
        status = wait(uuid)
        time.sleep(0.1)
        print(f"a run of {MANY} recorded effects and readings: {status['usage']['wall_ms'] / 1000:.2f} s")
        print(f"  show   {took('show', uuid)[0]:.2f} s")
        seconds, done = took("replay", uuid)
        print(f"  replay {seconds:.2f} s: {done.stderr.strip()}")
        place.kill()


main()
