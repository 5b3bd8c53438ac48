import dataclasses, enum, pathlib, uuid
@dataclasses.dataclass
class Order:
    id: int
    lines: list
class Colour(enum.Enum):
    RED = "red"
class Level(enum.IntEnum):
    HIGH = 3
[Order(1, [Order(2, [])]), Colour.RED, Level.HIGH, pathlib.PurePosixPath("/a/b"), uuid.UUID(int=1), b"\x00\xff"]
