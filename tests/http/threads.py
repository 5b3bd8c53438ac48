"""A pool of threads that share a session, as people fetch many pages."""
from concurrent.futures import ThreadPoolExecutor, as_completed

import httpx
import requests

URL = "{URL}"


def fetch(session, n):
    return n, session.get(f"{URL}/item/{n}", timeout=5).json()["path"]


with requests.Session() as session, ThreadPoolExecutor(4) as pool:
    print(sorted(future.result() for future in as_completed(pool.submit(fetch, session, n) for n in range(10))))
with httpx.Client() as client, ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: fetch(client, n), range(5))))
