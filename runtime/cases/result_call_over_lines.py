max("""
a = 1
""".split(),
key=len)
