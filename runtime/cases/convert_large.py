values = ["x" * 1000] * 20_000
values
