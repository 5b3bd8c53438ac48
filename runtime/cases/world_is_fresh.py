import builtins, sys
print(hasattr(builtins, "left_behind"), "left_behind" in sys.modules, "left" in globals())
builtins.left_behind = sys.modules["left_behind"] = left = 1
