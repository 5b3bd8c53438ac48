from datetime import date, datetime, time, timedelta, timezone
[date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc), time(6, 7), timedelta(days=1, seconds=3.5), timedelta(0), -timedelta(hours=2)]
