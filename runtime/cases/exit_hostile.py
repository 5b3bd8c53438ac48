class Exit(SystemExit):
    @property
    def code(self):
        raise SystemExit(self)


print("before")
raise Exit
