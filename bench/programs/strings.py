"""String methods, slices and formatting."""

TEXT = "The quick brown fox jumps over the lazy dog, again and again. " * 40


def run():
    count = 0
    for number in range(60):
        words = TEXT.replace("fox", f"fox{number}").lower().split()
        joined = "-".join(word.strip(",.").title() for word in words)
        count += joined.count("Fox") + len(joined[::2]) + joined.find("zzz")
        count += sum(len(f"{word:>10}|{number:05d}") for word in words[:100])
    return count
