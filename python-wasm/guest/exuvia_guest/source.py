"""From source text to what is executed: the statements, and the last expression if there is one.

A notebook shows the value of a cell's last expression. To have it, the program is compiled as two pieces: the
statements before, and the expression, which is evaluated. Both keep the script's line numbers.
"""

import __future__
import ast

# Flags that `from __future__ import …` leaves on a code object: the expression is compiled with the same ones.
FUTURES = 0
for _name in __future__.all_feature_names:
    FUTURES |= getattr(__future__, _name).compiler_flag

# A line that starts with one of these belongs to a statement that has no value.
STATEMENTS = frozenset(
    "assert async break class continue def del elif else: except except: finally: for from global if import"
    " nonlocal pass raise return try: while with else try finally".split()
)


def compile_program(source, name):
    """The code of the statements and of the last expression; either may be None.

    Going through `ast` would double the cost of compiling. So the text is cut at the last line that begins in column 0, and
    if both halves compile, the second as an expression, the cut was right: a line break inside brackets or a string
    leaves a first half that does not compile. All else takes the slow way.
    """
    start = _last_line_in_column_0(source)
    end = source.find("\n", start)
    first_line = source[start:] if end < 0 else source[start:end]
    if _surely_statement(first_line):
        code = compile(source, name, "exec", 0, True)
        if _last_line_number(code) > source.count("\n", 0, start):
            return code, None
    else:
        try:
            head = compile(source[:start], name, "exec", 0, True) if start else None
            futures = head.co_flags & FUTURES if head else 0
            padding = "\n" * source.count("\n", 0, start)
            return head, compile(padding + source[start:], name, "eval", futures, True)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            # Not an expression, or the program is wrong: the slow way says what is wrong with it.
            pass
    return _by_tree(source, name)


def _by_tree(source, name):
    tree = compile(source, name, "exec", ast.PyCF_ONLY_AST, True)
    if not tree.body or type(tree.body[-1]) is not ast.Expr:
        return compile(source, name, "exec", 0, True), None
    last = tree.body.pop()
    head = compile(tree, name, "exec", 0, True)
    return head, compile(ast.Expression(last.value), name, "eval", head.co_flags & FUTURES, True)


def _last_line_in_column_0(source):
    """Where the last line starts that is neither blank, indented, a comment nor begun by a closing bracket."""
    end = len(source)
    while True:
        start = source.rfind("\n", 0, end) + 1
        if start == 0 or source[start : start + 1] not in "\n\r\t\f )]}#":
            return start
        end = start - 1


def _surely_statement(line):
    """Whether a line must be (the beginning of) a statement without a value. False when in doubt."""
    if ";" in line:
        return False
    word = line.split(None, 1)
    if not word or word[0] in STATEMENTS or line[0] == "@":
        return True
    target, equals, rest = line.partition("=")
    # An `=` outside brackets and strings that is no comparison is an assignment.
    return (
        equals == "="
        and rest[:1] != "="
        and target[-1:] not in "=!<>:"
        and target.count("(") == target.count(")")
        and target.count("[") == target.count("]")
        and "{" not in target
        and "#" not in target
        and target.count('"') % 2 == 0
        and target.count("'") % 2 == 0
        and "lambda" not in target
    )


def _last_line_number(code):
    line = 0
    for _, _, number in code.co_lines():
        if number is not None:
            line = number
    return line
