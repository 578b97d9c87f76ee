import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { stringify } from 'yaml'
import type { LoadedConfig } from '../../src/config/load.node.ts'
import { clean, errorsOf, load, warningsOf } from '../../src/config/loaded.test.ts'
import { formatNotice } from '../../src/config/notice.ts'

/* Files that were made to take long, and files with anything in them. */

const laughs = (levels: number, width: number) =>
  ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    .concat(
      Array.from(
        { length: levels },
        (_, level) =>
          `a${level + 1}: &a${level + 1} [${Array(width).fill(`*a${level}`).join(', ')}]`,
      ),
    )
    .join('\n')

const hostile: [name: string, text: string, error: RegExp, msMax: number][] = [
  ['a billion laughs', laughs(9, 10), /aliases \(\*name\) stand for more than 50000 values/, 100],
  [
    'laughs in merges',
    Array.from(
      { length: 60 },
      (_, i) => `m${i}: &m${i} {k${i}: 1${i === 0 ? '' : `, <<: [*m${i - 1}, *m${i - 1}]`}}`,
    ).join('\n'),
    /stand for more than|nested deeper/,
    1000,
  ],
  ['brackets without end', `a: ${'['.repeat(20_000)}`, /./, 1500],
  [
    'closed brackets, deep',
    `a: ${'['.repeat(400)}${']'.repeat(400)}`,
    /nested deeper than 100/,
    500,
  ],
  ['dashes without end', '- '.repeat(20_000), /./, 1500],
]
for (const [name, text, error, msMax] of hostile)
  test(`${name}: a clear error, soon`, async () => {
    await load(laughs(1, 1)) // the first parse of a process pays for compiling the parser
    // In time of the processor and the best of five: others share the machine.
    let ms = Number.POSITIVE_INFINITY
    let errors: LoadedConfig['errors'] = []
    for (let run = 0; run < 5 && ms >= msMax; run += 1) {
      const start = process.cpuUsage()
      ;({ errors } = await load(text))
      const { user, system } = process.cpuUsage(start)
      ms = Math.min(ms, (user + system) / 1000)
    }
    assert.ok(ms < msMax, `${ms} ms`)
    assert.match(errors.map((each) => formatNotice(each)).join('\n'), error)
  })

test('many keys, anchors and aliases take no quadratic time', async () => {
  const keys = Array.from({ length: 8000 }, (_, index) => `  k${index}: &a${index} v`).join('\n')
  const aliases = Array.from({ length: 8000 }, (_, index) => `  k${index}: *a${index}`).join('\n')
  const start = performance.now()
  const loaded = await load(`x-a:\n${keys}\nx-b:\n${aliases}\n`)
  assert.deepEqual(errorsOf(loaded), [])
  assert.ok(performance.now() - start < 5000)
})

test('a thousand rows may share one anchor', async () => {
  const rows = Array.from(
    { length: 1000 },
    (_, index) => `  - {model_name: m${index}, litellm_params: {<<: *c, model: openai/m}}`,
  )
  const { models: made } = clean(
    await load(`x-c: &c {api_key: k, timeout: 5}\nmodel_list:\n${rows.join('\n')}\n`),
  )
  assert.deepEqual([made.length, made[999]?.params.timeout], [1000, 5])
})

test('whatever stands in the file, it is answered and not thrown', () =>
  fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string({ maxLength: 200 }),
        fc.string({ unit: fc.constantFrom(...'abc:-[]{}"\'&*!|>%@#,\n \t<0'), maxLength: 80 }),
        fc.jsonValue().map((value) =>
          stringify({
            model_list: value,
            general_settings: value,
            router_settings: value,
            litellm_settings: value,
            include: value,
            credential_list: value,
            environment_variables: value,
          }),
        ),
        fc.array(fc.jsonValue()).map((value) =>
          JSON.stringify({
            model_list: value.map((each) => ({
              model_name: each,
              litellm_params: each,
              model_info: each,
            })),
            guardrails: value,
            mcp_servers: { a: value },
          }),
        ),
      ),
      async (text) => {
        const loaded = await load(text)
        for (const line of [...errorsOf(loaded), ...warningsOf(loaded)])
          assert.match(line, /^[✖⚠] [^\n]+$/)
      },
    ),
    { numRuns: 150 },
  ))
