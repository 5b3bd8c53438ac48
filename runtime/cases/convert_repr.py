class Thing:
    def __repr__(self): return "<thing>"
{"thing": Thing(), "list": [len, Thing()]}
