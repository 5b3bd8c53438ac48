"""HTTP by the host, beneath the libraries that programs use (guest/ABI.md, "HTTP").

`exchange` speaks with the host; `http_client` is beneath `http.client`, and so `urllib.request`; `urllib3_connections` beneath
`urllib3`, and so `requests`; `httpx_transports` beneath `httpx`. `errors` knows what each raises when something fails.
"""
