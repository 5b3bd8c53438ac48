import os, time, getpass, locale, sys
print(sorted(os.environ))
print(os.environ["TZ"], time.tzname, getpass.getuser(), os.cpu_count(), locale.getlocale()[1], sys.stdout.encoding)
