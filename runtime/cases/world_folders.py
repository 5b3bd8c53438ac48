import os, tempfile
print(os.getcwd(), tempfile.gettempdir(), os.path.expanduser("~"), os.listdir("."))
