# Each is dropped at once, so the program holds none; the host must not hold them either.
import _exuvia

message = b'{"op":"call","x":"' + b"x" * (1 << 20) + b'"}'
refused = 0
for _ in range(1000):
    handle = _exuvia.start(message)
    if handle < 0:
        refused += 1
    else:
        _exuvia.drop(handle)
print("some were refused:", 0 < refused < 1000)
sleep = _exuvia.start(b'not JSON, so answered at once')
_exuvia.wait([sleep])
print("after a wait:", _exuvia.start(message) >= 0)
