import io, sys
kept = sys.stdout
sys.stdout = io.StringIO()
print("unseen")
kept.write("seen\n")
sys.stdout.getvalue()
