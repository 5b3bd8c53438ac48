import _exuvia


def message(size):
    head, tail = b'{"op":"call","x":"', b'"}'
    return head + b"x" * (size - len(head) - len(tail)) + tail


print("largest:", _exuvia.start(message(1 << 24)))
print("one more byte:", _exuvia.start(message((1 << 24) + 1)))
print("50 MiB:", _exuvia.start(message(50 << 20)))
largest = message(1 << 24)
print("many:", [_exuvia.start(largest) for _ in range(6)])
