"""The frame of a page: nothing is loaded from anywhere, and the browser is told so."""

from __future__ import annotations

from html import escape

from mlwb.report._style import DARK, FONT, LIGHT, MONO, css_variables

__all__ = ["page"]

_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-padding-top:1rem}
body{margin:0 auto;max-width:1000px;padding:2.25rem 1.25rem 4rem;background:var(--bg);color:var(--fg);font:16px/1.55 var(--font);font-variant-numeric:tabular-nums}
h1{font-size:1.9rem;line-height:1.2;letter-spacing:-.02em;margin:.1rem 0 .6rem;text-wrap:balance}
h2{font-size:1.25rem;letter-spacing:-.01em;margin:2.5rem 0 .7rem}
p,ul,ol{margin:.5rem 0}
a{color:var(--link);text-underline-offset:.15em}
a:focus-visible,summary:focus-visible,.scroll:focus-visible{outline:2px solid var(--link);outline-offset:3px;border-radius:3px}
code,pre{font-family:var(--mono);font-size:.86em}
pre{margin:.3rem 0 1rem;padding:.7rem .9rem;background:var(--card);border-radius:8px;overflow-x:auto}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:1rem;background:var(--bg);padding:.5rem 1rem}
.brand{margin:0;color:var(--quiet);font-size:.82rem;letter-spacing:.04em}
.quiet{color:var(--quiet)}
.small{font-size:.86rem}
.badge{display:inline-block;padding:0 .6em;border:1.5px solid;border-radius:1em;font-size:.78rem;font-weight:700;letter-spacing:.06em;line-height:1.7;white-space:nowrap}
.simulated,.mock{color:var(--warn)}.replay{color:var(--link)}.live{color:var(--pass)}
.facts{display:flex;flex-wrap:wrap;gap:.3rem 1.75rem;margin:0;font-size:.88rem}
.facts div{display:flex;gap:.45rem;min-width:0}
.facts dt{color:var(--quiet);white-space:nowrap}
.facts dd{margin:0;overflow-wrap:anywhere}
.banner{margin:1.5rem 0 0;padding:1.15rem 1.4rem;border:1px solid var(--line);border-left:6px solid;border-radius:10px;background:var(--card)}
.banner h2{margin:0;font-size:1.5rem;font-weight:700;line-height:1.3;letter-spacing:-.01em}
.banner>*{color:var(--fg)}
.banner>h2{color:inherit}
.banner>p.quiet{color:var(--quiet)}
.banner table{font-size:.88rem}
.banner p:last-child{margin-bottom:0}
.pass,.good{color:var(--pass)}.fail,.bad{color:var(--fail)}.unproven,.missing,.stale,.invalid,.warn{color:var(--warn)}
.mark{font-weight:600;white-space:nowrap}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:.92rem;line-height:1.45}
caption{text-align:left;color:var(--quiet);padding-bottom:.4rem}
th,td{padding:.5rem 1.25rem .5rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th:last-child,td:last-child{padding-right:0}
thead th{color:var(--quiet);font-weight:600;border-bottom:1.5px solid var(--quiet);white-space:nowrap}
tbody th{font-weight:600}
.num{text-align:right;white-space:nowrap}
.gates td:nth-child(2),.gates td:nth-child(3){white-space:nowrap}
.gates tr.blocks th>b::before{content:"";display:inline-block;width:.5em;height:.5em;margin:0 .4em .1em 0;background:var(--fail)}
.gates tr:target{background:var(--card)}
.gates .why{margin:.15rem 0 0;padding:0;list-style:none;color:var(--quiet);font-size:.88rem}
.gates th span{display:block;font-weight:400;color:var(--quiet);font-size:.88rem}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(15rem,1fr));gap:.9rem;margin:0;padding:0;list-style:none}
.cards li{padding:.9rem 1.1rem;border:1px solid var(--line);border-radius:10px;background:var(--card)}
.cards h3{margin:0;font-size:.88rem;font-weight:500;color:var(--quiet)}
.cards .value{margin:.1rem 0 .15rem;font-size:1.7rem;font-weight:650;line-height:1.25;letter-spacing:-.01em}
.cards .absent{font-size:1.15rem;font-weight:500;color:var(--quiet)}
.cards p{margin:.1rem 0;font-size:.86rem}
.runs th:first-child{white-space:nowrap}
.strip{font-family:var(--mono);letter-spacing:.14em;white-space:nowrap}
summary{cursor:pointer;color:var(--link);width:fit-content}
details{margin:2.5rem 0 0}
details .facts{display:grid;grid-template-columns:1fr;gap:.25rem;margin:.8rem 0}
details .facts dt{min-width:11rem}
footer{margin-top:3rem;padding-top:.8rem;border-top:1px solid var(--line);font-size:.86rem;color:var(--quiet)}
svg.trend{display:block;width:100%;max-width:30rem;height:4rem;margin:.4rem 0 1.2rem;overflow:visible}
svg.trend polyline{fill:none;stroke:var(--link);stroke-width:2;vector-effect:non-scaling-stroke}
svg.trend line{stroke:var(--line);vector-effect:non-scaling-stroke}
@media(max-width:600px){body{padding-top:1.25rem}th,td{padding-right:.8rem}.gates th span{display:none}details .facts div{flex-direction:column;gap:0}}
@media print{@page{size:A4;margin:15mm}body{max-width:none;padding:0;font-size:10pt}.skip{display:none}h2{break-after:avoid;margin-top:1.4rem}tr,.banner,.cards li{break-inside:avoid}thead{display:table-header-group}.scroll{overflow:visible}}
"""  # noqa: E501 - a rule a line


def page(title: str, body: str) -> bytes:
    """A whole page.

    Parameters
    ----------
    title : str
        Escaped here.
    body : str
        Markup, escaped already.

    Returns
    -------
    bytes
        UTF-8.
    """
    light, dark = css_variables(LIGHT), css_variables(DARK)
    style = (
        f":root{{color-scheme:light dark;{light};--font:{FONT};--mono:{MONO}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root{{{dark}}}}}{_RULES}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="icon" href="data:,">\n<style>{style}</style>\n</head>\n'
        f'<body>\n<a class="skip" href="#content">Skip to the decision</a>\n{body}\n'
        "</body>\n</html>\n"
    ).encode()
