import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bench, row, settings } from './deployments.test.ts'
import { matched } from './groups.ts'

const patterns: [pattern: string, name: string, part: string | undefined][] = [
  ['*', 'anything', 'anything'],
  ['*', '', ''],
  ['openai/*', 'openai/gpt', 'gpt'],
  ['openai/*', 'openai/', ''],
  ['openai/*', 'azure/gpt', undefined],
  ['a*b', 'axxb', 'xx'],
  ['a*b', 'ab', ''],
  ['aa*aa', 'aaa', undefined],
  ['plain', 'plain', ''],
  ['plain', 'plains', undefined],
]
for (const [pattern, name, part] of patterns)
  test(`${pattern} and ${name}`, () => assert.equal(matched(pattern, name), part))

const rows = [
  row('exact', 'gpt'),
  row('second', 'gpt'),
  row('all', '*', { model: '*' }),
  row('openai', 'openai/*', { model: 'openai/*' }),
  row('mini', 'openai/*-mini', { model: 'openai/*' }),
  row('fixed', 'any/*', { model: 'openai/one' }),
]
const { groups } = bench(rows, {
  aliases: {
    alias: { group: 'gpt', hidden: false },
    gpt: { group: 'openai/x', hidden: false },
    far: { group: 'openai/y', hidden: true },
  },
}).router

const found: [name: string, ids: string[], upstream?: string][] = [
  ['gpt', ['exact', 'second']],
  ['second', ['second']],
  ['alias', ['exact', 'second']],
  ['far', ['openai'], 'openai/y'],
  ['openai/gpt-5', ['openai'], 'openai/gpt-5'],
  ['openai/gpt-5-mini', ['mini'], 'openai/gpt-5'],
  ['any/thing', ['fixed'], 'openai/one'],
  ['groq/llama', ['all'], 'groq/llama'],
  ["openai/$&$'$`x", ['openai'], "openai/$&$'$`x"],
  ['__proto__', ['all'], '__proto__'],
]
for (const [name, ids, upstream] of found)
  test(`${name} is ${ids}`, () => {
    const all = groups.find(groups.nameOf(name))
    assert.deepEqual(
      all.map(({ id }) => id),
      ids,
    )
    if (upstream !== undefined)
      assert.deepEqual([all[0]?.target.model, all[0]?.group], [upstream, groups.nameOf(name)])
  })

test('an alias never stands in the way of a group of its name', () =>
  assert.equal(groups.nameOf('gpt'), 'gpt'))
test('a name named as a prototype is is no alias', () =>
  assert.equal(groups.nameOf('constructor'), 'constructor'))

test('names made from wildcards are made once and forgotten in the end', () => {
  const first = groups.find('openai/once')
  assert.equal(groups.find('openai/once'), first)
  for (let i = 0; i < 2000; i++) groups.find(`openai/${i}`)
  assert.notEqual(groups.find('openai/once'), first)
})

test('a name of any length is not remembered', () =>
  assert.deepEqual(groups.find('x'.repeat(513)), []))

test('what is written in the config and what is made for a name', () => {
  assert.deepEqual(
    ['gpt', 'openai/gpt-5', 'openai/*', 'nope'].map((name) => groups.isOwn(name)),
    [true, false, false, false],
  )
  assert.deepEqual(groups.names(), ['gpt', '*', 'openai/*', 'openai/*-mini', 'any/*'])
  assert.equal(groups.all().length, rows.length)
})

test('nothing fits: nothing is found', () => {
  const { router } = bench([row('a')], { aliases: settings.aliases })
  assert.deepEqual(router.groups.find('nope'), [])
  assert.equal(router.knows('nope'), false)
  assert.equal(router.knows('a'), true)
})
