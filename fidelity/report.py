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
    parts = []
    differences, skips = [], []
    for suite, modules_of in suites.items():
        rows = []
        for part, modules in modules_of.items():
            row = Counter()
            for module in modules:
                path = folder / f"{suite}-{module}.json"
                if not path.exists():
                    row["missing"] += 1
                    continue
                results = json.loads(path.read_text())
                for test, kind, detail in judge(results):
                    row[kind] += 1
                    if kind == "differs":
                        differences.append((suite, part, test, detail))
                    elif kind == "skipped":
                        skips.append((suite, part, test, detail))
            rows.append((part, modules, row))
        parts.append(table(suite, rows))
    explained, unexplained = explain(differences, causes)
    total = len(differences)
    text = HEAD + "\n".join(parts) + differences_text(explained, unexplained, total) + skips_text(skips, causes)
    return text, len(unexplained)


def judge(results):
    """For each test of the native run: `same`, `differs` or `skipped`, and what the guest said."""
    native, guest = results["native"], results["guest"]
    for test in sorted(native.keys() | guest.keys()):
        here = native.get(test)
        there = guest.get(test)
        if here is None:
            # Tests that are there for this platform only. They count when they fail.
            if there[0] in FAILURES:
                yield test, "differs", f"{there[0]}, and not among the native tests\n{there[1]}"
            continue
        if there is None:
            if here[0] == "skipped":
                yield test, "same", ""
            else:
                yield test, "differs", f"not among the guest's tests; natively {here[0]}"
            continue
        fails_here, fails_there = here[0] in FAILURES, there[0] in FAILURES
        if fails_here and fails_there or here[0] == there[0]:
            yield test, "same", ""
        elif there[0] == "skipped":
            yield test, "skipped", there[1]
        elif fails_there:
            yield test, "differs", f"{there[0]}; natively {here[0]}\n{there[1]}"
        elif fails_here:
            yield test, "differs", f"{there[0]}; natively {here[0]}\n{here[1]}"
        elif here[0] == "skipped":
            # It runs in the guest only, and passes.
            yield test, "same", ""
        else:
            yield test, "differs", f"{there[0]}; natively {here[0]}"


def table(suite, rows):
    lines = [f"## {TITLES[suite]}\n", "| part | modules | tests | same | differ | skipped in the guest |", "|---|---|--:|--:|--:|--:|"]
    total = Counter()
    for part, modules, row in rows:
        tests = row["same"] + row["differs"] + row["skipped"]
        total += row
        names = ", ".join(f"`{short(module)}`" for module in modules)
        if row["missing"] == len(modules):
            lines.append(f"| {part} | {names} | not run | | | |")
        else:
            lines.append(f"| {part} | {names} | {tests:,} | {row['same']:,} | {row['differs']:,} | {row['skipped']:,} |")
    tests = total["same"] + total["differs"] + total["skipped"]
    lines.append(f"| **all** | | **{tests:,}** | **{total['same']:,}** | **{total['differs']:,}** | **{total['skipped']:,}** |")
    return "\n".join(lines) + "\n"


def short(module):
    return re.sub(r"^(numpy|pandas)\.", "", module).replace("._core.", "_core.").replace("tests.", "")


def explain(differences, causes):
    explained, unexplained = defaultdict(list), []
    for suite, part, test, detail in differences:
        found = cause_of(test, detail, causes)
        if found is None:
            unexplained.append((suite, part, test, detail))
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
        for _, _, test, detail in unexplained:
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


def skips_text(skips, causes):
    """Why tests were skipped in the guest that run natively: the reasons that the tests themselves give."""
    reasons = Counter(re.sub(r"\s+", " ", re.sub(r"^Skipped: ", "", detail)).strip() or "no reason given" for _, _, _, detail in skips)
    lines = [f"\n## The {len(skips):,} tests that skip themselves in the guest\n", "| tests | the reason they give |", "|--:|---|"]
    for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"| {count:,} | {reason[:160].replace('|', chr(92) + '|')} |")
    return "\n".join(lines) + "\n"


HEAD = """\
# Fidelity

<!-- Made by `just fidelity` (fidelity/run.py); edit that, or fidelity/causes.toml. -->

CPython's, NumPy's and pandas' own tests, run in the sandbox and in a native CPython of the same version side by side,
compared test by test. *Same* means the same outcome on both sides. *Skipped in the guest* counts tests that run natively
and skip themselves in the guest, nearly always because they need a process, a thread of the operating system, a socket
or a signal; the last table lists their reasons. Tests that skip themselves on both sides count as the same. A
parametrised test counts once for each set of parameters, a test with subtests once.

Natively NumPy and pandas are the wheels of the same versions from their registry, with OpenBLAS and AVX.

"""
