import webbrowser
webbrowser.open("https://example.com")
