"""A result as HTML: tables, and what an object says of itself as in a notebook. The client reads it beside the result."""

import sys

# Rows and columns of a table; of a larger one the first and the last.
MOST_ROWS = 60
MOST_COLUMNS = 30
# Most characters of all of it.
LONGEST = 512 * 1024


def render(value):
    """The HTML of a value, or None if it has no such form, or none that is short enough."""
    try:
        kind = type(value)
        pandas = sys.modules.get("pandas")
        if pandas is not None and kind is pandas.Series:
            value = value.to_frame()
            kind = pandas.DataFrame
        if pandas is not None and kind is pandas.DataFrame:
            html = value.to_html(max_rows=MOST_ROWS, max_cols=MOST_COLUMNS, show_dimensions=True)
        elif callable(getattr(kind, "_repr_html_", None)):
            html = kind._repr_html_(value)
        else:
            return None
        return html if type(html) is str and len(html) <= LONGEST else None
    except BaseException:
        # The program's own code may do anything here, and the result is what matters.
        return None
