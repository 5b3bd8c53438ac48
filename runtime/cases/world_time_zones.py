from datetime import datetime, timezone
from zoneinfo import ZoneInfo
moment = datetime(2024, 7, 1, 12, tzinfo=timezone.utc)
print(moment.astimezone(ZoneInfo("Europe/Berlin")).isoformat(), moment.astimezone(ZoneInfo("Asia/Tokyo")).hour)
