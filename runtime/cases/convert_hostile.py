class Bad:
    def __repr__(self): raise SystemExit("no")
    @property
    def __class__(self): raise KeyboardInterrupt
class Liar(dict):
    def items(self): raise ValueError
    def __iter__(self): raise ValueError
    def __len__(self): return -1
class Nameless(type):
    def __getattribute__(cls, name): raise RuntimeError(name)
class Odd(metaclass=Nameless):
    def __repr__(self): return 5
[Bad(), Liar(a=1), Odd()]
