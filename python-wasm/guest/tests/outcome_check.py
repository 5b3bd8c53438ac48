"""Compares what a program did with what `runtime/cases/NAME.json` expects (see runtime/cases/README.md)."""


def differences(expected, outcome, stdout, stderr):
    """What is not as expected, in words; nothing when all is."""
    found = []

    def same(what, actual, wanted):
        if actual != wanted:
            found.append(f"{what}: {actual!r}, expected {wanted!r}")

    error = outcome.get("error", {})
    same("status", "raised" if error else "finished", expected["status"])
    if "stdout_has" not in expected:
        same("stdout", stdout, expected["stdout"])
    for part in expected.get("stdout_has", ()):
        if part not in stdout:
            found.append(f"stdout lacks {part!r}: {stdout!r}")
    for part in expected.get("stdout_has_not", ()):
        if part in stdout:
            found.append(f"stdout has {part!r}: {stdout!r}")
    same("stderr", stderr, expected.get("stderr", ""))
    for field in ("outputs", "missing", "exit"):
        same(field, outcome.get(field), expected.get(field))
    _result(expected, outcome, same, found)
    for field, wanted in expected.get("error", {}).items():
        if field == "traceback_has":
            found += [f"traceback lacks {part!r}" for part in wanted if part not in error.get("traceback", "")]
        else:
            same(f"error.{field}", error.get(field), wanted)
    if found and error:
        found.append(error.get("traceback", ""))
    return found


def _result(expected, outcome, same, found):
    result = outcome.get("result")
    if "result_depth" in expected:
        depth = 0
        while isinstance(result, list) and result:
            result, depth = result[0], depth + 1
        same("depth of result", depth, expected["result_depth"])
    elif "result_bytes_at_most" in expected:
        if len(str(result)) > expected["result_bytes_at_most"]:
            found.append(f"result has {len(str(result))} bytes")
        if not outcome.get("reprs"):
            found.append("what was left out is not marked in reprs")
    else:
        same("result", result, expected.get("result"))
        same("reprs", outcome.get("reprs"), expected.get("reprs"))
