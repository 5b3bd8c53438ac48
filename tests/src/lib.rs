//! Nothing here: see `tests/tests`.
