import type { Outgoing } from '../http/http.ts'

/** The page behind /docs: one file, nothing from elsewhere, so that it works without a network and under a strict policy. */
const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Throughway API</title>
<style nonce="NONCE">
:root { color-scheme: light dark; --line: color-mix(in srgb, currentColor 18%, transparent); }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
h2 { margin: 2rem 0 .5rem; text-transform: capitalize; }
details { border: 1px solid var(--line); border-radius: 8px; margin: .4rem 0; }
summary { cursor: pointer; padding: .5rem .75rem; }
summary b { display: inline-block; min-width: 3.5rem; }
code, pre { font: 13px/1.45 ui-monospace, monospace; }
pre { overflow: auto; margin: 0; padding: .75rem; border-top: 1px solid var(--line); max-height: 32rem; }
input { font: inherit; padding: .4rem .6rem; width: 100%; box-sizing: border-box; }
</style>
</head>
<body>
<h1>Throughway API</h1>
<p>The same document for programs: <a href="openapi.json">openapi.json</a></p>
<label>Find a route <input id="find" type="search" autocomplete="off"></label>
<main id="routes">Loading…</main>
<script nonce="NONCE">
const el = (tag, text, ...children) => { const e = document.createElement(tag); if (text) e.textContent = text; e.append(...children); return e }
const main = document.getElementById('routes'), find = document.getElementById('find')
const curl = (method, path, body) => 'curl ' + (method === 'GET' ? '' : '-X ' + method + ' ') + location.origin + path + " -H 'Authorization: Bearer $KEY'" + (body ? " -H 'Content-Type: application/json' -d '{…}'" : '')
fetch('openapi.json').then((r) => r.json()).then((doc) => {
  const draw = () => {
    const words = find.value.toLowerCase()
    const tags = new Map()
    for (const [path, methods] of Object.entries(doc.paths)) for (const [method, op] of Object.entries(methods)) {
      if (!(path + ' ' + op.summary).toLowerCase().includes(words)) continue
      const tag = (op.tags || ['general'])[0]
      if (!tags.has(tag)) tags.set(tag, [])
      tags.get(tag).push([method.toUpperCase(), path, op])
    }
    main.replaceChildren(...[...tags].flatMap(([tag, rows]) => [el('h2', tag), ...rows.map(([method, path, op]) => {
      const body = op.requestBody && op.requestBody.content['application/json'].schema
      const answer = op.responses['200'].content && op.responses['200'].content['application/json'].schema
      const text = [curl(method, path, body), body && 'Body: ' + JSON.stringify(body, null, 2), answer && 'Answer: ' + JSON.stringify(answer, null, 2)].filter(Boolean).join('\\n\\n')
      return el('details', '', el('summary', '', el('b', method), el('code', path), ' ' + op.summary + (op.security ? '' : ' (no key)')), el('pre', text))
    })]))
  }
  find.addEventListener('input', draw); draw()
}, () => { main.textContent = 'openapi.json could not be loaded.' })
</script>
</body>
</html>
`

export function docsPage(): Outgoing {
  const nonce = crypto.randomUUID()
  return {
    status: 200,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'content-security-policy': `default-src 'none'; style-src 'nonce-${nonce}'; script-src 'nonce-${nonce}'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
    },
    body: page.replaceAll('NONCE', nonce),
  }
}
