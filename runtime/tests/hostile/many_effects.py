import _exuvia

begun = refused = 0
for _ in range(100_000):
    if _exuvia.start(b'{"op":"call","name":"x"}') >= 0:
        begun += 1
    else:
        refused += 1
print(begun, "begun,", refused, "refused with", _exuvia.start(b'{"op":"call"}'))
