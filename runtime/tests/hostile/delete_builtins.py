import builtins

print("before", flush=True)
for name in list(vars(builtins)):
    if name not in ("vars", "list", "delattr"):
        delattr(builtins, name)
