print(len("\ud800x"))
{"\ud800": "a\udfffb"}
