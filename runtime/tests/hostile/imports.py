# The built-in module beneath the guest package, with arguments that it never passes.
import _exuvia


def attempt(name, *arguments):
    shown = ", ".join(repr(argument)[:24] for argument in arguments)
    try:
        print(f"{name}({shown})", "->", getattr(_exuvia, name)(*arguments))
    except BaseException as error:
        print(f"{name}({shown})", "!", type(error).__name__, error)


bad = [b"", b"null", b"{}", b'{"op":5}', b"\xff\xfe", b"[" * 1_000_000, b'{"op":"sleep","ns":-1}', b'{"op":"x","a":' + b"[" * 1_000_000]
for message in bad:
    attempt("start", message)
for handle in range(len(bad)):
    attempt("wait", [handle])
    attempt("answer", handle)
    attempt("answer", handle)
for message in ("text", None, 5, bytearray(3)):
    attempt("start", message)
    attempt("finish", message)
attempt("start", b'{"op":"sleep","ns":18446744073709551615}')
for handles in ([], range(1025), [0], [99], [-1], [2**31], [2**40], [-(2**31)], 5, [None], "a"):
    attempt("wait", handles)
attempt("answer", 8)
for handle in (77, -1, 2**31 - 1, 2**31, 2**40, None, "a"):
    attempt("answer", handle)
    attempt("drop", handle)
