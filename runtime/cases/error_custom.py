class TooMany(Exception):
    pass
error = TooMany("seven")
error.add_note("a note")
raise error
