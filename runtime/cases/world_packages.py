import bs4, dateutil.parser, httpx, jinja2, matplotlib, numpy, openpyxl, pandas, PIL, requests, seaborn, tabulate, yaml
print(yaml.safe_load("a: [1, 2]"), dateutil.parser.parse("5 May 2024").date())
print(bs4.BeautifulSoup("<p>hi</p>", "html.parser").p.text, jinja2.Template("{{ x }}!").render(x=3))
