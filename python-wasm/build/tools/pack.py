"""pack.py FOLDER OUTPUT: a tar archive that depends on nothing but names and contents."""

import os
import sys
import tarfile


def members(root):
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(folders) + sorted(files):
            yield os.path.relpath(os.path.join(folder, name), root)


def like_by_like(name):
    """A source before its bytecode, which holds its names and strings again: a compressor finds near what is near."""
    folder, last = os.path.split(name)
    if os.path.basename(folder) == "__pycache__":
        return os.path.dirname(folder), last.split(".")[0], 1
    return folder, os.path.splitext(last)[0], 0


def main():
    root, output = sys.argv[1:]
    with tarfile.open(output, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(sorted(members(root)), key=like_by_like):
            path = os.path.join(root, name)
            info = tarfile.TarInfo(name)
            info.mtime = int(os.environ["SOURCE_DATE_EPOCH"])
            if os.path.isdir(path):
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(info)
            else:
                info.size, info.mode = os.path.getsize(path), 0o644
                with open(path, "rb") as file:
                    archive.addfile(info, file)


main()
