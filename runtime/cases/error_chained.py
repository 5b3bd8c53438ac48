try:
    {}["key"]
except KeyError as cause:
    raise RuntimeError("second") from cause
