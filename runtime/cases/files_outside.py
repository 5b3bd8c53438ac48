for path in ("/etc/passwd", "/lib/python3.13/os.py", "/new.txt"):
    try:
        open(path, "a" if path != "/etc/passwd" else "r").close()
        print(path, "opened")
    except OSError as error:
        print(path, type(error).__name__)
