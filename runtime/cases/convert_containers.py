import collections, types
Point = collections.namedtuple("Point", "x y")
[Point(1, 2), {3, 1, 2}, frozenset("b"), {1, "a"}, collections.deque([1]), range(3), collections.Counter("aab"), collections.OrderedDict(a=1),
 types.MappingProxyType({"k": 1}), {}.keys(), collections.UserDict(z=1)]
