import datetime, enum
class Kind(enum.Enum):
    A = "a"
{1: "int", None: "none", True: "bool", 1.5: "float", ("x", 2): "tuple", datetime.date(2024, 1, 1): "date", Kind.A: "enum"}
