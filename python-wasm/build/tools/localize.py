"""Makes every symbol that a wasm object defines local, except those that are to be renamed.

Sixty extension modules are linked into one program, and they define the same names. In a shared
object this would not matter. `llvm-objcopy --localize-hidden` does not support wasm, so this edits
the symbol table in the custom section `linking` (tool-conventions/Linking.md).
"""

WASM_SYMBOL_TABLE = 8
FUNCTION, DATA, GLOBAL, SECTION, EVENT, TABLE = range(6)
BINDING_MASK, BINDING_WEAK, BINDING_LOCAL, VISIBILITY_HIDDEN = 0x3, 0x1, 0x2, 0x4
UNDEFINED, EXPLICIT_NAME = 0x10, 0x40


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def number(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def bytes(self, length):
        self.at += length
        return self.data[self.at - length : self.at]

    def block(self):
        return self.bytes(self.number())


def number(value):
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        out.append(low | (0x80 if value else 0))
        if not value:
            return bytes(out)


def block(data):
    return number(len(data)) + data


def edit_symbol(table, renames, renamed):
    """One entry of the symbol table, with its binding changed."""
    kind, flags = table.byte(), table.number()
    name, rest = None, b""
    if kind == DATA:
        name = table.block()
        if not flags & UNDEFINED:
            rest = b"".join(number(table.number()) for _ in range(3))
    elif kind == SECTION:
        rest = number(table.number())
    else:
        rest = number(table.number())
        if not flags & UNDEFINED or flags & EXPLICIT_NAME:
            name = table.block()
    if kind in (FUNCTION, DATA) and name is not None and not flags & UNDEFINED:
        if kind == FUNCTION and name.decode() in renames:
            renamed.add(name.decode())
            name = renames[name.decode()].encode()
            flags &= ~(BINDING_MASK | VISIBILITY_HIDDEN)
        elif flags & BINDING_MASK == 0:
            flags = flags & ~(BINDING_MASK | VISIBILITY_HIDDEN) | BINDING_LOCAL
    head = bytes([kind]) + number(flags)
    if kind == DATA:
        return head + block(name) + rest
    return head + rest + (block(name) if name is not None else b"")


def edit_linking(body, renames, renamed):
    reader = Reader(body)
    out = bytearray(block(reader.block()) + number(reader.number()))
    while reader:
        kind, data = reader.byte(), reader.block()
        if kind == WASM_SYMBOL_TABLE:
            table = Reader(data)
            count = table.number()
            data = number(count) + b"".join(edit_symbol(table, renames, renamed) for _ in range(count))
        out += bytes([kind]) + block(bytes(data))
    return bytes(out)


def localize(source, target, renames):
    """Copies the object `source` to `target`; `renames` maps the functions that stay visible."""
    with open(source, "rb") as file:
        data = file.read()
    if data[:4] != b"\0asm":
        raise SystemExit(f"{source}: not a wasm object")
    reader, out, renamed = Reader(data), bytearray(data[:8]), set()
    reader.at = 8
    while reader:
        kind, body = reader.byte(), reader.block()
        if kind == 0 and Reader(body).block() == b"linking":
            body = edit_linking(body, renames, renamed)
        out += bytes([kind]) + block(bytes(body))
    if missing := set(renames) - renamed:
        raise SystemExit(f"{source}: does not define {missing}")
    with open(target, "wb") as file:
        file.write(out)
