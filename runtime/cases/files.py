import json, os, pathlib, shutil, tempfile, zipfile
pathlib.Path("data.json").write_text(json.dumps({"a": 1}))
os.makedirs("deep/er", exist_ok=True)
shutil.copy("data.json", "deep/er/copy.json")
with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile("w+", suffix=".txt") as file:
    file.write("x"); file.flush()
    print(os.path.getsize(file.name), os.path.isdir(folder))
with zipfile.ZipFile("all.zip", "w") as archive:
    archive.write("data.json")
print(sorted(os.listdir(".")), zipfile.ZipFile("all.zip").namelist(), json.load(open("deep/er/copy.json")))
os.rename("data.json", "renamed.json")
print(os.path.exists("data.json"), [str(p) for p in pathlib.Path(".").rglob("*.json")])
