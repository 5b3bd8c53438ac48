"""docs/fidelity.md from the results of run.py."""

import json
import re
from collections import Counter, defaultdict

FAILURES = ("failed", "error", "crashed")
NAMES_SHOWN = 12

TITLES = {
    "python": "CPython's own tests",
    "numpy": "NumPy's own tests",
    "pandas": "pandas' own tests",
}


def make(suites, folder, causes):
    """The text, and how many differences no cause explains."""
    tables, differences, skips = [], [], []
    for suite, parts in suites.items():
        rows = []
        for module in (module for modules in parts.values() for module in modules):
            path = folder / f"{suite}-{module}.json"
            if not path.exists():
                rows.append((module, None))
                continue
            results = json.loads(path.read_text())
            row = Counter(natively=len(results["native"]), there=len(results["guest"]))
            for test, kind, detail in judge(results):
                row[kind] += 1
                if kind == "same" and detail:
                    row["fail"] += 1
                elif kind == "differs":
                    differences.append((test, detail))
                elif kind == "skipped":
                    skips.append(detail)
            rows.append((module, row))
        tables.append(table(suite, rows))
    explained, unexplained = explain(differences, causes)
    text = HEAD + "\n".join(tables) + differences_text(explained, unexplained, len(differences)) + skips_text(skips)
    return text, len(unexplained)


def judge(results):
    """For each test of the native run: `same`, `differs`, `skipped`, `only natively` or `not reached`, and what the guest said."""
    native, guest = results["native"], results["guest"]
    functions = {name.partition("[")[0] for name in guest if "[" in name}
    for test in sorted(native.keys() | guest.keys()):
        here, there = native.get(test), guest.get(test) or whole(guest, test)
        if here is None:
            # Tests that are there for this platform only. They count when they fail.
            if there[0] in FAILURES:
                yield test, "differs", f"{there[0]}, and not among the native tests\n{there[1]}"
        elif there is None:
            if here[0] == "skipped":
                yield test, "same", ""
            elif test.partition("[")[0] in functions:
                yield test, "only natively", ""
            else:
                yield test, "differs", f"not among the guest's tests; natively {here[0]}"
        elif "not reached" in (here[0], there[0]):
            yield test, "not reached", ""
        else:
            yield test, *compare(here, there)


def whole(guest, test):
    """What became of the module or class that the test is in, when that skipped itself or failed as one."""
    return next((outcome for name, outcome in guest.items() if test.startswith((f"{name}.", f"{name}::"))), None)


def compare(here, there):
    fails_here, fails_there = here[0] in FAILURES, there[0] in FAILURES
    if fails_here and fails_there:
        return "same", "fails"
    if here[0] == there[0]:
        return "same", ""
    if there[0] == "skipped":
        return "skipped", there[1]
    if fails_there:
        return "differs", f"{there[0]}; natively {here[0]}\n{there[1]}"
    if fails_here:
        return "differs", f"{there[0]}; natively {here[0]}\n{here[1]}"
    if here[0] == "skipped":
        # It runs in the guest only, and passes.
        return "same", ""
    return "differs", f"{there[0]}; natively {here[0]}"


KINDS = {
    "natively": "tests natively",
    "there": "in the guest",
    "same": "same",
    "fail": "of these, fail",
    "skipped": "skipped in the guest",
    "differs": "differ",
    "only natively": "other parameters",
    "not reached": "not reached in time",
}
WHEN_ANY = ("fail", "only natively", "not reached")


def table(suite, rows):
    kinds = [kind for kind in KINDS if kind not in WHEN_ANY or any(row and row[kind] for _, row in rows)]
    lines = [f"## {TITLES[suite]}\n", "| module | " + " | ".join(KINDS[kind] for kind in kinds) + " |"]
    lines.append("|---|" + "--:|" * len(kinds))
    total = Counter()
    for module, row in rows:
        total.update(row or {})
        figures = ["not run"] + [""] * (len(kinds) - 1) if row is None else [f"{row[kind]:,}" for kind in kinds]
        lines.append(f"| `{module}` | " + " | ".join(figures) + " |")
    lines.append("| **all** | " + " | ".join(f"**{total[kind]:,}**" for kind in kinds) + " |")
    return "\n".join(lines) + "\n"


def explain(differences, causes):
    explained, unexplained = defaultdict(list), []
    for test, detail in differences:
        found = cause_of(test, detail, causes)
        if found is None:
            unexplained.append((test, detail))
        else:
            explained[found].append(test)
    return explained, unexplained


def cause_of(test, detail, causes):
    for index, cause in enumerate(causes):
        tests = cause.get("tests")
        details = cause.get("details")
        if tests and not any(re.search(pattern, test) for pattern in tests):
            continue
        if details and not any(re.search(pattern, detail) for pattern in details):
            continue
        if tests or details:
            return (index, cause["title"], cause["text"])
    return None


def differences_text(explained, unexplained, total):
    lines = [f"\n## The {total:,} differences, by cause\n"]
    for (_, title, text), tests in sorted(explained.items()):
        lines.append(f"### {title} ({len(tests):,})\n\n{text.strip()}\n\n{names(tests)}\n")
    if unexplained:
        lines.append(f"### Not explained yet ({len(unexplained):,})\n")
        for test, detail in unexplained:
            last = [line for line in detail.strip().splitlines() if line.strip()]
            lines.append(f"- `{test}`: {last[0]}; {last[-1] if len(last) > 1 else ''}")
        lines.append("")
    return "\n".join(lines)


def names(tests):
    """The tests' names, those of one parametrised function together."""
    counts = Counter(re.sub(r"\[.*", "", test) for test in tests)
    shown = [f"`{brief(name)}`" + (f" (×{count})" if count > 1 else "") for name, count in sorted(counts.items())]
    rest = len(shown) - NAMES_SHOWN
    text = ", ".join(shown[: NAMES_SHOWN if rest > 3 else None])
    return f"{text}, and {rest} more" if rest > 3 else text


def brief(name):
    name = re.sub(r"^test\.", "", name)
    return re.sub(r"^(numpy|pandas)/", r"\1/", name)


def skips_text(skips):
    """Why tests were skipped in the guest that run natively: the reasons that the tests themselves give."""
    reasons = Counter(re.sub(r"\s+", " ", re.sub(r"^Skipped: ", "", detail)).strip() or "no reason given" for detail in skips)
    lines = [f"\n## The {len(skips):,} tests that skip themselves in the guest\n", "| tests | the reason they give |", "|--:|---|"]
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"| {count:,} | {reason[:160].replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


HEAD = """\
# Fidelity

<!-- Made by `just fidelity` (fidelity/run.py); edit that, or fidelity/causes.toml. -->

CPython's, NumPy's and pandas' own tests, run in the sandbox and in a native CPython of the same version side by side,
compared test by test. *Same* means the same outcome on both sides; tests that skip themselves on both sides count as the
same, and so do tests that fail on both sides, most of them for data files that a source distribution lacks, or for the
network. *Skipped in the guest* counts tests that run natively and skip themselves in the guest; the last table lists the
reasons they give. A parametrised test counts once for each set of parameters, a test with subtests once. A test that only
one side has counts as a difference when it is the guest that lacks it, or when it fails there. *Other parameters* counts
native tests of a function that the guest runs with parameters of its own: NumPy's tests are parametrised over C's integer
types, and here `long` has 32 bits and `longlong` is `int64` itself, where 64-bit Linux has two types of 64 bits. A few of
pandas' are over `sys.maxsize`, or the machine's locales.

Natively NumPy and pandas are the wheels of the same versions from their registry, with OpenBLAS and AVX.

`just fidelity` runs it all again. It needs the work folder of `just python-wasm`, and takes an hour on two cores.

"""
