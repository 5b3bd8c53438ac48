"""Measures what docs/performance.md promises, and prints it beside the targets and beside peers.

Everything that is compared is run in turn, many times, in processes that stay. Of a program's times the least is
taken: what disturbs a machine only ever adds time, and for seconds or minutes on end, so that a median is that of whatever
went on meanwhile. The other figures are medians, as their users will meet the disturbances too. The load is printed with them.
"""

import argparse
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent
PRINT = "print(1)"
IMPORT = "import pandas\npandas.__version__"
GROUPBY = (
    "import pandas as pd\n"
    "frame = pd.DataFrame({'kind': ['a', 'b', 'c'] * 100, 'value': range(300)})\n"
    "frame.groupby('kind')['value'].sum()"
)
# 640 by 480 pixels: matplotlib's default size.
PLOT = (
    "import matplotlib.pyplot as plt\n"
    "plt.plot([x * x for x in range(100)], label='squares')\n"
    "plt.title('A title')\n"
    "plt.xlabel('x')\n"
    "plt.legend()\n"
    "plt.savefig('plot.png')"
)
SUSPENDED = "import time\ntime.sleep(1000)"
# After the program: how long `run()` takes once it is warm.
TIMED = """
import time
run()
_times = []
for _ in range({rounds}):
    _began = time.perf_counter_ns()
    run()
    _times.append(time.perf_counter_ns() - _began)
print(min(_times))
"""


def main():
    arguments = parse()
    builds = [build(native) for native in arguments.native]
    native = builds[0].path
    peers = arguments.out / "peers"
    if not arguments.no_peers:
        subprocess.run([HERE / "compare" / "install.sh", peers, native], check=True)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n")
    ours = Process("exuvia", [arguments.out / "measure"])
    rows = []
    if not arguments.only_compute:
        rows += [*fresh(ours, arguments), *throughput(ours, arguments), *memory(ours, arguments), *cold(native, arguments)]
    contestants = [ours, *[Process(one.name, [one.path, HERE / "compare" / "native.py"]) for one in builds]]
    if not arguments.no_peers:
        contestants += start_peers(peers, native)
    least = compute(contestants, arguments)
    for one in builds:
        ratio = f"{mean(least, 'exuvia', one.name):.2f}×"
        rows.append([f"compute / {one.name}, as shipped", ratio, "≤ 1.7×"])
        rows.append([f"compute / {one.name}, without epochs: the same, as the code has none", ratio, "≤ 1.4×"])
    show(["what", "here", "target"], rows)
    for one in builds:
        print()
        show(["program, ms", *[contestant.name for contestant in contestants]], programs(contestants, least, one.name))
    if not arguments.no_peers:
        print()
        show(["beside peers", "exuvia", "peer", "peer / exuvia"], beside(contestants, least, builds[0].name, arguments))
        print("\npandas in peers: neither PyPI nor npm has pandas for eryx's or pyodide's interpreter (pyodide's wheels")
        print("are published on a CDN and in a forge's releases only), so those rows are ours alone.")
    print(f"\nload {os.getloadavg()[0]:.1f}")


class Build(typing.NamedTuple):
    """A native CPython to compare with. How it is linked decides a tenth of its speed."""

    path: str
    name: str


DESCRIBED = (
    "import sys, sysconfig; get = sysconfig.get_config_var; flags = f\"{get('OPT')} {get('CFLAGS')}\";"
    " print('%d.%d.%d' % sys.version_info[:3], get('Py_ENABLE_SHARED') or 0, '-O3' in flags,"
    " any(flag in f\"{get('CONFIG_ARGS')}\" for flag in ('--enable-optimizations', '--with-lto')))"
)


def build(native):
    if native is None or not shutil.which(native):
        sys.exit("no native CPython 3.13 built with -O3: set NATIVE, or run `just python-wasm`")
    said = subprocess.run([native, "-c", DESCRIBED], capture_output=True, text=True).stdout.split()
    version, shared, optimised, profiled = said if len(said) == 4 else ("", "0", "False", "False")
    if not version.startswith("3.13.") or optimised != "True":
        sys.exit(f"{native} is not a CPython 3.13 built with -O3")
    linked = "--enable-shared" if shared == "1" else "static"
    return Build(native, f"native {version} -O3 {linked}" + (" with profile or LTO" if profiled == "True" else ""))


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    work = pathlib.Path(os.environ.get("W", HERE.parent / "target" / "python-wasm"))
    parser.add_argument("--out", type=pathlib.Path, required=True, help="where bench/run put what it built")
    parser.add_argument("--native", action="append", help="a CPython 3.13 built with -O3; may be given more than once")
    parser.add_argument("--rounds", type=int, default=7, help="of every comparison but compute's")
    parser.add_argument("--compute-rounds", type=int, default=40, help="of all programs")
    parser.add_argument("--only-compute", action="store_true")
    parser.add_argument("--runs", type=int, default=1000, help="runs suspended at once")
    parser.add_argument("--no-peers", action="store_true")
    arguments = parser.parse_args()
    arguments.out = arguments.out.resolve()
    arguments.native = arguments.native or [os.environ.get("NATIVE", str(work / "native" / "python"))]
    return arguments


class Process:
    """One contestant: a process that answers requests."""

    def __init__(self, name, command, environment=None):
        self.name = name
        environment = {**os.environ, **(environment or {})}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=environment.get("PEER_FOLDER"),
        )

    def ask(self, **request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} gave no answer to {request['do']}")
        return json.loads(answer)


def start_peers(folder, native):
    environment = {"PYTHONPATH": str(folder / "eryx")}
    eryx = Process("eryx", [native, HERE / "compare" / "eryx_peer.py"], environment)
    # Node finds packages beside the script only.
    script = shutil.copy(HERE / "compare" / "pyodide_peer.mjs", folder)
    return [eryx, Process("pyodide", ["node", script])]


def median_of(process, source, rounds, **fields):
    return statistics.median(process.ask(do="fresh", source=source, rounds=rounds, **fields)["ns"])


def fresh(ours, arguments):
    for source in (PRINT, IMPORT, GROUPBY, PLOT):
        ours.ask(do="fresh", source=source, rounds=20)
    times = {source: [] for source in (PRINT, IMPORT, GROUPBY, PLOT)}
    for _ in range(arguments.rounds):
        for source, rounds in ((PRINT, 2000), (IMPORT, 1000), (GROUPBY, 100), (PLOT, 20)):
            # The first few find the slot as the row before left it.
            times[source].append(statistics.median(ours.ask(do="fresh", source=source, rounds=rounds)["ns"][5:]))
    us = {source: statistics.median(medians) / 1000 for source, medians in times.items()}
    return [
        ["fresh interpreter + print(1), median", f"{us[PRINT]:.1f} µs", "≤ 45 µs"],
        ["fresh + import pandas, median", f"{us[IMPORT]:.1f} µs", "≤ 80 µs"],
        ["fresh + DataFrame groupby sum, median", f"{us[GROUPBY] / 1000:.2f} ms", "≤ 2 ms"],
        ["fresh + line plot of 640×480, saved as PNG, median", f"{us[PLOT] / 1000:.0f} ms", "≤ 150 ms"],
    ]


def throughput(ours, arguments):
    rows = []
    for threads, target in ((1, "≥ 20,000"), (2, "≥ 35,000")):
        rates = [ours.ask(do="throughput", source=PRINT, threads=threads, seconds=2)["per_second"] for _ in range(3)]
        name = f"fresh runs per second, {threads} thread{'s' * (threads > 1)}"
        rows.append([name, f"{statistics.median(rates):,.0f}", target])
    return rows


def memory(ours, arguments):
    answer = ours.ask(do="suspended", source=SUSPENDED, runs=arguments.runs)
    detail = f"{answer['pss'] / 1024:.0f} KiB (and {answer['page_tables'] / 1024:.0f} KiB of page tables)"
    return [[f"a run suspended in a host call, of {arguments.runs:,}", detail, "≤ 400 KiB"]]


def cold(native, arguments):
    program = arguments.out / "print.py"
    program.write_text(PRINT + "\n")
    commands = {
        "exuvia": [arguments.out / "exuvia", "run", program],
        "system": [shutil.which("python3"), "-c", PRINT],
        "native": [native, "-c", PRINT],
        "native -I -S": [native, "-I", "-S", "-c", PRINT],
    }
    times = {name: [] for name in commands}
    for _ in range(20 * arguments.rounds):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
            times[name].append(time.perf_counter() - began)
    ms = {name: statistics.median(all_times) * 1000 for name, all_times in times.items()}
    others = ", ".join(f"{name} {value:.1f} ms" for name, value in ms.items() if name != "exuvia")
    return [["cold process: exuvia run print.py, to its exit", f"{ms['exuvia']:.1f} ms", f"≤ native ({others})"]]


def compute(contestants, arguments):
    """The least time of every contestant in every program."""
    programs = sorted((HERE / "programs").glob("*.py"))
    times = {one.name: {path.stem: [] for path in programs} for one in contestants}
    # Every program once in each round: a slow minute then disturbs a few times of all, not all times of a few.
    for number in range(arguments.compute_rounds):
        for path in programs:
            source = path.read_text() + TIMED.format(rounds=3)
            for one in contestants if number % 2 == 0 else reversed(contestants):
                printed = one.ask(do="run", source=source)["stdout"]
                times[one.name][path.stem].append(int(printed.split()[-1]))
    return {name: {program: min(all_times) for program, all_times in by.items()} for name, by in times.items()}


def mean(least, name, native):
    """The geometric mean of the ratios to `native`."""
    logs = [math.log(time / least[native][program]) for program, time in least[name].items()]
    return math.exp(sum(logs) / len(logs))


def programs(contestants, least, native):
    def cell(name, program):
        time = least[name][program]
        return f"{time / 1e6:.2f} ({time / least[native][program]:.2f}×)"

    rows = [[program, *[cell(one.name, program) for one in contestants]] for program in least[native]]
    return [*rows, [f"geometric mean / {native}", *[f"{mean(least, one.name, native):.2f}×" for one in contestants]]]


def beside(contestants, least, native, arguments):
    by = {one.name: one for one in contestants}
    us = {name: [] for name in ("exuvia", "eryx", "pyodide")}
    for _ in range(arguments.rounds):
        us["exuvia"].append(median_of(by["exuvia"], PRINT, 500) / 1000)
        us["eryx"].append(median_of(by["eryx"], PRINT, 30) / 1000)
    us["pyodide"] = [time / 1000 for time in by["pyodide"].ask(do="fresh", source=PRINT, rounds=3)["ns"]]
    here = statistics.median(us["exuvia"])
    rows = []
    for name in ("eryx", "pyodide"):
        there = statistics.median(us[name])
        rows.append([f"{name}: fresh + print(1)", f"{here:.1f} µs", f"{there:,.0f} µs", f"{there / here:,.0f}×"])
        rows.append([
            f"{name}: compute / native", f"{mean(least, 'exuvia', native):.2f}×", f"{mean(least, name, native):.2f}×",
            f"{mean(least, name, 'exuvia'):.2f}×",
        ])
    return rows


def show(header, rows):
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
