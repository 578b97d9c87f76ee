import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameOfNotOffered, notOffered } from '../gateway/not-offered.ts'
import { openapi } from '../gateway/openapi.ts'
import { compile, routes } from '../gateway/routes.ts'
import { object } from '../json/json.ts'
import { adminRoutes } from './admin.ts'

test('no two rows are for the same method and path', () => {
  const seen = new Set<string>()
  for (const { method, path } of [...routes, ...adminRoutes]) {
    const name = `${method} ${path.replace(/\{\w+\+?\}/g, '{}')}`
    assert.ok(!seen.has(name), name)
    seen.add(name)
  }
})

test('the document of the routes has every route of management, and every schema it speaks of', () => {
  const document = openapi([...routes, ...adminRoutes])
  const paths = object(document['paths'])
  for (const { method, path } of adminRoutes)
    assert.ok(object(paths[path.replaceAll('+}', '}')])[method.toLowerCase()], `${method} ${path}`)
  const schemas = object(object(document['components'])['schemas'])
  assert.equal(schemas['Unnamed'], undefined, 'a schema without meta({ id })')
  for (const [, name = ''] of JSON.stringify(document).matchAll(/#\/components\/schemas\/([^"]+)/g))
    assert.ok(schemas[name], name)
})

test('what is known and not offered is served by nobody, and told by its name', () => {
  const served = compile([...routes, ...adminRoutes])
  const names = new Set<string>()
  for (const { method, path } of notOffered) {
    const asked = path.replace(/\{\w+\+?\}/g, 'x')
    assert.ok(!('route' in served.match(method, asked)), `${method} ${path} is served`)
    assert.ok(!names.has(`${method} ${path}`), `${method} ${path} twice`)
    names.add(`${method} ${path}`)
    assert.ok(names.has(nameOfNotOffered(method, asked) ?? ''), `${method} ${path}`)
  }
  assert.equal(nameOfNotOffered('GET', '/nowhere'), undefined)
  assert.equal(nameOfNotOffered('DELETE', '/login'), undefined)
})
