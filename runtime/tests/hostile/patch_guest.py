import exuvia_guest
from exuvia_guest import ending, errors, program, scheduler

print("before")
for module in (exuvia_guest, program, ending, errors, scheduler):
    for name in list(vars(module)):
        if not name.startswith("__"):
            setattr(module, name, None)
1 / 0
