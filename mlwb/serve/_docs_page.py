"""The page behind ``/docs``: one file without references, drawn from ``/openapi.json``.

Colours are those of the reports. The policy names the page's own style and script by digest, so
that nothing else runs in it, whatever the document says.
"""

from __future__ import annotations

import base64
import hashlib

__all__ = ["DOCS_PAGE", "DOCS_POLICY"]

_STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--quiet:#586271;--line:#dfe3e8;--card:#f5f7f9;
--link:#0b5cad;--pass:#17693f;--fail:#a8231b;--warn:#7d4f00;
--mono:ui-monospace,SFMono-Regular,Menlo,Consolas,"Liberation Mono","DejaVu Sans Mono",monospace}
@media(prefers-color-scheme:dark){:root{--bg:#14171b;--fg:#e4e7eb;--quiet:#9ba6b4;--line:#2d343c;
--card:#1c2127;--link:#83b9ff;--pass:#63c795;--fail:#ff938a;--warn:#e3b355}}
*{box-sizing:border-box}
html{scroll-padding-top:1rem}
body{margin:0;background:var(--bg);color:var(--fg);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",
"Noto Sans","Liberation Sans",Arial,sans-serif}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
code,pre,textarea,input,select,.path,.verb{font-family:var(--mono);font-size:13px}
#page{display:grid;grid-template-columns:17rem minmax(0,1fr);max-width:76rem;margin:0 auto}
nav{position:sticky;top:0;align-self:start;height:100vh;overflow:auto;
padding:1.5rem 1rem 2rem 1.5rem;border-right:1px solid var(--line)}
nav h2{margin:1.1rem 0 .2rem;font-size:12px;letter-spacing:.06em;text-transform:uppercase;
color:var(--quiet);font-weight:600}
nav a{display:grid;grid-template-columns:3rem 1fr;padding:.1rem 0;color:var(--fg);
overflow-wrap:anywhere;font:12.5px/1.5 var(--mono)}
nav .verb{font-size:11px;font-weight:600;line-height:1.7}
main{padding:1.5rem 2rem 6rem}
h1{font-size:1.55rem;line-height:1.25;margin:0}
h2.group{font-size:1.1rem;margin:2.4rem 0 .6rem;text-transform:capitalize}
h4{margin:1.1rem 0 .3rem;font-size:13px;color:var(--quiet);font-weight:600}
.quiet{color:var(--quiet)}
.lead{max-width:46rem;margin:.6rem 0 1.2rem}
.facts{display:flex;flex-wrap:wrap;gap:.4rem 1.6rem;align-items:center;padding:.7rem 1rem;
background:var(--card);border:1px solid var(--line);border-radius:6px}
details.route{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;background:var(--bg)}
details.route>summary{display:flex;gap:.8rem;align-items:baseline;padding:.55rem .9rem;
cursor:pointer;list-style:none;flex-wrap:wrap}
details.route>summary::-webkit-details-marker{display:none}
details.route[open]>summary{background:var(--card);border-bottom:1px solid var(--line);
border-radius:6px 6px 0 0}
.inside{padding:.3rem 1rem 1.1rem}
.verb{font-weight:700;width:3.2rem}.get{color:var(--link)}.post{color:var(--pass)}
.delete{color:var(--fail)}
.path{font-weight:600;overflow-wrap:anywhere}
.path+span{flex:1 1 16rem}
.role{margin-left:auto;font-size:12px;color:var(--quiet);border:1px solid var(--line);
border-radius:9px;padding:0 .55rem;white-space:nowrap}
table{border-collapse:collapse;width:100%;font-size:13.5px}
.wide{overflow-x:auto}
th,td{text-align:left;vertical-align:top;padding:.28rem .8rem .28rem 0;
border-bottom:1px solid var(--line)}
th:first-child{width:13rem}
th{color:var(--quiet);font-weight:600;font-size:12px}
td.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}th.num{text-align:right}
pre{margin:.4rem 0;padding:.7rem .9rem;background:var(--card);border:1px solid var(--line);
border-radius:6px;overflow:auto;max-height:26rem;white-space:pre-wrap;overflow-wrap:anywhere}
input,select,textarea{background:var(--bg);color:var(--fg);border:1px solid var(--line);
border-radius:5px;padding:.3rem .5rem;max-width:100%}
textarea{width:100%;min-height:5rem;max-height:26rem;resize:vertical;line-height:1.45}
label{display:inline-flex;gap:.5rem;align-items:center;margin:.2rem 1rem .2rem 0;font-size:13px}
button{font:600 13px system-ui,sans-serif;color:var(--bg);background:var(--link);border:0;
border-radius:5px;padding:.42rem 1.1rem;cursor:pointer}button:disabled{opacity:.5}
.good{color:var(--pass);font-weight:600}.bad{color:var(--fail);font-weight:600}
@media(max-width:52rem){#page{display:block}nav{display:none}main{padding:1rem 1rem 4rem}}
"""

_SCRIPT = r"""
"use strict";
const make = (tag, props = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), props);
  node.append(...children.flat().filter(child => child !== null && child !== undefined));
  return node;
};
const code = text => make("code", {textContent: text});
const bad = text => make("p", {className: "bad", textContent: text});
const named = ref => ref.split("/").pop();
let spec;
const at = ref => ref.slice(2).split("/").reduce((value, key) => value[key], spec);
const whole = schema => (schema && schema.$ref ? {...at(schema.$ref), ...schema} : schema || {});
const number = value => (Math.abs(value) >= 1e5 || (value && Math.abs(value) < 1e-3)
  ? value.toExponential(3) : String(+value.toPrecision(6)));

function words(schema) {
  if (!schema) return "anything";
  if (schema.$ref) return named(schema.$ref);
  if (schema.enum) return schema.enum.map(value => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  const any = schema.anyOf || schema.oneOf;
  if (any) return any.map(words).join(" or ");
  if (schema.prefixItems) return `[${schema.prefixItems.length} values, in order]`;
  if (schema.type === "array") {
    const most = schema.maxItems ? ` of at most ${schema.maxItems}` : "";
    return `list${most}: ${words(schema.items)}`;
  }
  return schema.type || "anything";
}

function range(schema) {
  const has = key => schema[key] !== undefined;
  if (has("minimum") && has("maximum")) {
    return `${number(schema.minimum)} … ${number(schema.maximum)}`;
  }
  if (has("minimum")) return `≥ ${number(schema.minimum)}`;
  if (has("maximum")) return `≤ ${number(schema.maximum)}`;
  return "";
}

function reached(schema, found = new Map()) {
  if (!schema || typeof schema !== "object") return found;
  if (schema.$ref && !found.has(schema.$ref)) {
    found.set(schema.$ref, at(schema.$ref));
    reached(at(schema.$ref), found);
  }
  for (const [key, value] of Object.entries(schema)) if (key !== "$ref") reached(value, found);
  return found;
}

function table(schema) {
  const rows = Object.entries(schema.properties || {});
  if (!rows.length) return null;
  const units = rows.some(([, value]) => value["x-unit"]);
  const limits = rows.some(([, value]) => range(value));
  const needed = new Set(schema.required || []);
  const head = make("tr", {}, ["name", "type"].map(text => make("th", {textContent: text})),
    limits ? make("th", {className: "num", textContent: "range"}) : null,
    units ? make("th", {textContent: "unit"}) : null, make("th"));
  const body = rows.map(([name, value]) => make("tr", {},
    make("td", {}, code(name)), make("td", {textContent: words(value)}),
    limits ? make("td", {className: "num", textContent: range(value)}) : null,
    units ? make("td", {textContent: value["x-unit"] || ""}) : null,
    make("td", {className: "quiet",
      textContent: value.description || (needed.has(name) ? "" : "optional")})));
  return make("div", {className: "wide"}, make("table", {}, head, body));
}

function shape(title, schema) {
  const parts = [...reached(schema)].map(([ref, value]) => [named(ref), value])
    .filter(([, value]) => value.properties);
  if (!parts.length) return [];
  return [make("h4", {textContent: title}), parts.map(([name, value], place) => [
    place ? make("h4", {}, code(name), value.description ? ` ${value.description}` : "")
      : make("p", {className: "quiet", textContent: value.description || ""}),
    table(value)])];
}

function answers(operation) {
  const rows = Object.entries(operation.responses).map(([status, listed]) => {
    const answer = whole(listed);
    const refusal = (answer.content || {})["application/problem+json"];
    const codes = refusal ? refusal.schema.allOf[1].properties.code.enum : [];
    return make("tr", {}, make("td", {}, code(status)),
      make("td", {textContent: answer.description}),
      make("td", {}, codes.flatMap((text, place) => place ? [" ", code(text)] : [code(text)])));
  });
  const head = make("tr", {}, ["status", "meaning", "codes"].map(
    text => make("th", {textContent: text})));
  return [make("h4", {textContent: "Answers"}),
    make("div", {className: "wide"}, make("table", {}, head, rows))];
}

function attempt(verb, path, operation) {
  const content = operation.requestBody ? operation.requestBody.content["application/json"] : null;
  const examples = content ? content.examples || {} : {};
  const area = content ? make("textarea", {spellcheck: false, ariaLabel: "Body"}) : null;
  const show = value => {
    area.value = JSON.stringify(value, null, 1).replace(
      /\[[^[\]{}]*\]/g, list => list.replace(/\s+/g, " "));
    area.rows = Math.min(16, area.value.split("\n").length);
  };
  const choice = make("select", {ariaLabel: "Example"},
    Object.keys(examples).map(name => make("option", {textContent: name})));
  choice.onchange = () => show(examples[choice.value].value);
  if (area && choice.value) choice.onchange();
  const fields = operation.parameters.map(whole).filter(item => item.in !== "header")
    .map(item => [item, make("input", {placeholder: words(item.schema), title: item.description})]);
  const send = make("button", {textContent: "Send"});
  const result = make("div", {ariaLive: "polite"});
  send.onclick = async () => {
    const risky = verb !== "get" && ["admin", "ops"].includes(operation["x-permission"]);
    if (risky && !confirm(`${verb.toUpperCase()} ${path} changes the server. Send it?`)) return;
    let url = path;
    const query = new URLSearchParams();
    for (const [item, input] of fields) {
      if (item.in === "path") url = url.replace(`{${item.name}}`, encodeURIComponent(input.value));
      else if (input.value) query.set(item.name, input.value);
    }
    if (String(query)) url += `?${query}`;
    const headers = content ? {"Content-Type": "application/json"} : {};
    const key = document.getElementById("key").value;
    if (key) headers["X-API-Key"] = key;
    send.disabled = true;
    const start = performance.now();
    try {
      const options = {method: verb.toUpperCase(), headers, cache: "no-store"};
      const answer = await fetch(url, content ? {...options, body: area.value} : options);
      const took = (performance.now() - start).toFixed(1);
      let text = await answer.text();
      try { text = JSON.stringify(JSON.parse(text), null, 1); } catch { /* not JSON: as it is */ }
      result.replaceChildren(
        make("p", {}, make("span", {className: answer.ok ? "good" : "bad",
          textContent: `${answer.status} ${answer.statusText}`}),
          ` in ${took} ms · request `, code(answer.headers.get("x-request-id") || "")),
        make("pre", {textContent: text}));
    } catch (error) {
      result.replaceChildren(bad(`No answer: ${error.message}`));
    } finally { send.disabled = false; }
  };
  return [make("h4", {textContent: "Try it"}),
    fields.map(([item, input]) => make("label", {}, code(item.name), input)),
    Object.keys(examples).length > 1 ? make("label", {}, "example", choice) : null,
    area, make("p", {}, send), result];
}

function route(path, verb, operation) {
  const answer = whole(Object.values(operation.responses)[0]).content || {};
  const schema = (answer["application/json"] || {}).schema;
  const content = operation.requestBody
    ? operation.requestBody.content["application/json"].schema : null;
  const inside = make("div", {className: "inside"});
  const node = make("details", {className: "route", id: operation.operationId},
    make("summary", {},
      make("span", {className: `verb ${verb}`, textContent: verb.toUpperCase()}),
      make("span", {className: "path", textContent: path}),
      make("span", {textContent: operation.summary.replaceAll("`", "")}),
      make("span", {className: "role", textContent: operation["x-permission"],
        title: "role a key needs"})), inside);
  node.addEventListener("toggle", () => {
    if (node.open && !inside.hasChildNodes()) {
      inside.append(...[attempt(verb, path, operation), shape("Takes", content),
        shape("Gives", schema), answers(operation)].flat(4).filter(Boolean));
    }
  });
  return node;
}

async function draw() {
  const main = document.querySelector("main"), nav = document.querySelector("nav");
  try { spec = await (await fetch("/openapi.json", {cache: "no-store"})).json(); }
  catch { main.append(bad("The server does not answer.")); return; }
  const version = spec.info["x-model-version"];
  document.title = spec.info.title;
  const routes = Object.entries(spec.paths).flatMap(
    ([path, item]) => Object.entries(item).map(([verb, operation]) => [path, verb, operation]));
  main.append(make("h1", {textContent: spec.info.title}),
    ...spec.info.description.split("\n\n").map(
      text => make("p", {className: "lead", textContent: text.replaceAll("`", "")})),
    make("div", {className: "facts"},
      make("span", {}, "model ", code(version || "none")),
      make("span", {}, "software ", code(spec.info.version)),
      make("a", {href: "/openapi.json", textContent: "openapi.json"}),
      make("label", {}, "key", make("input", {id: "key", type: "password", autocomplete: "off",
        placeholder: "stays in this page"}))));
  for (const {name} of spec.tags) {
    const group = routes.filter(([, , operation]) => operation.tags[0] === name);
    nav.append(make("h2", {textContent: name}), ...group.map(([path, verb, operation]) =>
      make("a", {href: `#${operation.operationId}`},
        make("span", {className: `verb ${verb}`, textContent: verb}),
        make("span", {textContent: path}))));
    main.append(make("h2", {className: "group", textContent: name}),
      ...group.map(entry => route(...entry)));
  }
  const follow = () => {
    const node = document.getElementById(location.hash.slice(1));
    if (node && node.tagName === "DETAILS") { node.open = true; node.scrollIntoView(); }
  };
  addEventListener("hashchange", follow);
  follow();
}
draw();
"""

_PAGE = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>mlwb predict server</title>
<link rel="icon" href="data:,">
<style>{_STYLE}</style>
</head>
<body>
<div id="page"><nav aria-label="Routes"></nav><main><noscript>The same as a document:
<a href="/openapi.json">openapi.json</a></noscript></main></div>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _source(text: str) -> str:
    """A policy's word for exactly this text."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


DOCS_PAGE = _PAGE.encode()
"""The page."""
DOCS_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Its Content-Security-Policy."""
