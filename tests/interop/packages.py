"""Packages with the real `uv`: a folder of wheels and an index on this machine, no network. What `tests/tests/packages.rs` does with a
stand-in has to hold with what it stands for."""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading
import zipfile

from checks import Checks, holds, same

checks = Checks("packages")
exuvia = os.environ["EXUVIA"]
uv = os.environ.get("UV_BIN") or os.path.join(os.environ["INTEROP_PLACE"], "venv/bin/uv")
folder = tempfile.mkdtemp(dir=os.environ["INTEROP_WORK"])
wheels = os.path.join(folder, "wheels")
os.mkdir(wheels)


def wheel(name, version, files=None, requires=(), tags="py3-none-any"):
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(os.path.join(wheels, f"{name}-{version}-{tags}.whl"), "w") as archive:
        archive.writestr(f"{info}/METADATA", metadata)
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tags}\n")
        archive.writestr(f"{info}/RECORD", "")
        for path, text in (files or {f"{name}.py": f"VERSION = {version!r}\n"}).items():
            archive.writestr(path, text)


wheel("greet", "1.2", requires=["words>=1"])
wheel("greet", "2.0", requires=["words>=1"])
wheel("words", "1.0")
wheel("native", "3.1", tags="cp313-cp313-manylinux_2_28_x86_64")
wheel("needs_native", "1.0", requires=["native"])
wheel("newer", "1.0", requires=["numpy>=99"])
wheel("frames", "1.0", requires=["numpy>=2", "pandas"])
wheel("evil", "1.0", files={"../../evil.py": ""})
with open(os.path.join(wheels, "source-1.0.tar.gz"), "wb") as file:
    file.write(b"not looked into")

pages = {}


class Index(http.server.BaseHTTPRequestHandler):
    """The index of packages as its standard has it (PEP 691), in JSON."""

    def do_GET(self):
        path = self.path.strip("/").split("/")
        if path[0] == "simple" and len(path) == 2:
            files = [file for file in sorted(os.listdir(wheels)) if file.split("-")[0].replace("_", "-") == path[1]]
            files = [
                {
                    "filename": file,
                    "url": f"/files/{file}",
                    "hashes": {"sha256": hashlib.sha256(open(os.path.join(wheels, file), "rb").read()).hexdigest()},
                    "yanked": file.startswith("greet-2"),
                }
                for file in files
            ]
            body = json.dumps({"meta": {"api-version": "1.0"}, "name": path[1], "files": files}).encode()
            self.answer(200 if files else 404, "application/vnd.pypi.simple.v1+json", body)
        elif path[0] == "files":
            self.answer(200, "application/octet-stream", open(os.path.join(wheels, path[1]), "rb").read())
        else:
            self.answer(404, "text/plain", b"")

    do_HEAD = do_GET

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}/simple"
script = os.path.join(folder, "script.py")
config = os.path.join(folder, "exuvia.toml")
with open(config, "w") as file:
    file.write(f"[packages]\nuv = {json.dumps(uv)}\n")


def run(source, *packages, index=wheels, more=()):
    with open(script, "w") as file:
        file.write(source)
    given = [part for package in packages for part in ("--with", package)]
    command = [exuvia, "run", script, "--config", config, "--index", index, *given, *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def ask(*command):
    return subprocess.run([exuvia, *command], capture_output=True, text=True, timeout=300)


@contextlib.contextmanager
def served(data, *more):
    """A server on that data folder, and the arguments that name it."""
    command = [exuvia, "serve", *more, "--listen", "127.0.0.1:0", "--data", data]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield server, ["--url", server.stdout.readline().split()[-1].removesuffix("/mcp")]
    finally:
        server.terminate()
        server.wait()


def submitted(source, at):
    with open(script, "w") as file:
        file.write(source)
    return ask("submit", script, *at).stdout.strip()


def replayed(image):
    """A job of a server that runs that image, replayed from its data: what the replay gives."""
    data = os.path.join(folder, "data")
    with served(data, "--image", image) as (_, at):
        uuid = submitted("import sys, time\nprint('greet' in sys.modules, time.time() > 0)", at)
        holds("True True" in ask("status", uuid, "--follow", *at).stdout, uuid)
        online = ask("replay", uuid, *at)
    same(ask("replay", uuid, "--data", data).stdout, online.stdout)
    shutil.rmtree(data)
    return online


def goes_on(image):
    """A job whose server was killed, and whose image is no server's any more and has no name, ends in it all the same. Then it goes."""
    data = os.path.join(folder, "other")
    kept = lambda: f"kept for executions of {os.path.realpath(data)}" in ask("doctor").stdout
    with served(data, "--image", image) as (server, at):
        uuid = submitted("import sys, time\nprint('begun', flush=True)\ntime.sleep(2)\nprint(sys.modules['greet'].VERSION)", at)
        while "begun" not in ask("status", uuid, *at).stdout:
            pass
        server.kill()
    holds(ask("image", "remove", image).stdout.startswith("removed; its snapshot stays until "), image)
    holds(kept(), "it is not kept")
    with served(data) as (_, at):
        followed = ask("status", uuid, "--follow", *at).stdout
        holds("begun\n1.2\n" in followed, followed)
    holds(kept(), "it is not kept until the next start")
    with served(data):
        pass
    holds(not kept(), "it is still kept")


def refused(package, begins, index=wheels):
    ran = run("print('ran')", package, index=index)
    same((ran.returncode, ran.stdout), (3, ""))
    holds(ran.stderr.startswith(f"exuvia: {begins}"), ran.stderr)


for name, index in (("a folder of wheels", wheels), ("an index", url)):
    with checks.check(f"a package and what it needs come from {name}"):
        ran = run("import greet, words\n[greet.VERSION, words.VERSION]", "greet<2", index=index)
        same((ran.returncode, ran.stdout), (0, '["1.2", "1.0"]\n'))

    with checks.check(f"what is built in takes part in the resolution, with {name}"):
        same(run("import frames, numpy\nframes.VERSION", "frames", index=index).stdout, '"1.0"\n')

    with checks.check(f"a name that is not there is said, with {name}"):
        refused("nowhere", "there is no package `nowhere` on the index", index)

    with checks.check(f"native code is said with its tags, with {name}"):
        refused("native", "`native` 3.1 has native code, which cannot be loaded here: its wheels are for cp313-cp313-manylinux", index)
        refused("needs-native", "`native` 3.1 has native code", index)

    with checks.check(f"source that would have to be built is not, with {name}"):
        refused("source", "`source` has no wheel", index)

    with checks.check(f"another version of what is built in cannot be had, with {name}"):
        refused("newer", "these packages cannot be had together: ", index)

    with checks.check(f"a wheel with a path that leads out is refused, with {name}"):
        refused("evil", "the wheel `evil-1.0-py3-none-any.whl` cannot be used: `../../evil.py` is no plain path", index)

with checks.check("a version that was taken back is not chosen"):
    same(run("import greet\ngreet.VERSION", "greet", index=url).stdout, '"1.2"\n')

with checks.check("an index that is down is said"):
    refused("other", "the index of packages does not answer: ", "http://127.0.0.1:9/simple")

with checks.check("while the index is down, the old answer is used"):
    server.shutdown()
    server.server_close()
    same(run("import greet\ngreet.VERSION", "greet", index=url).stdout, '"1.2"\n')

with checks.check("an image has its packages imported"):
    requirements = os.path.join(folder, "requirements.txt")
    with open(requirements, "w") as file:
        file.write("greet<2  # a comment\nnumpy\n")
    command = [exuvia, "image", "build", "--requirements", requirements, "--name", "interop", "--config", config, "--index", wheels]
    built = subprocess.run(command, capture_output=True, text=True, timeout=900)
    same((built.returncode, built.stdout.splitlines()[:2]), (0, ["  greet 1.2", "  words 1.0"]))
    try:
        ran = run("import sys\n['greet' in sys.modules, sys.modules['greet'].VERSION]", "greet", more=("--image", "interop"))
        same(ran.stdout, '[true, "1.2"]\n')
        listed = subprocess.run([exuvia, "image", "list"], capture_output=True, text=True).stdout
        holds("interop: greet 1.2, words 1.0\n" in listed, listed)
        ran = replayed("interop")
        same((ran.returncode, ran.stdout, ran.stderr), (0, "True True\n", "exuvia: the same as recorded\n"))
        goes_on("interop")
    finally:
        ask("image", "remove", "interop")

checks.end()
