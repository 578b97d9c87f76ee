import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { createStage, loadCases, modelsOf, sectionsOf } from './conformance/case.ts'
import { startGateway } from './support/gateway.ts'
import { fileScope, startProvider } from './support/provider.ts'

/*
 * Providers that the conformance kit has no family for, as cases of its format: `../shared/conformance/run.mjs --cases
 * test/conformance` plays the same files.
 */

const key = 'sk-conformance-4f1c9a7e2b8d'
const cases = loadCases(join(import.meta.dirname, 'conformance'))
const scope = fileScope()
const stage = createStage()
const provider = await startProvider(scope, stage.script)
const gateway = await startGateway(scope, {
  models: modelsOf(cases, provider.origin, key),
  general: { master_key: key },
  sections: sectionsOf(cases, provider.origin, key),
  logged: false,
})

for (const family of new Set(cases.map((one) => one.family)))
  describe(family, { concurrency: 8 }, () => {
    for (const one of cases.filter((each) => each.family === family))
      it(`${one.name}: ${one.why}`, async () =>
        assert.deepEqual(await stage.run(one, gateway, provider, key), []))
  })

it('every family has its eight cases and more', () => {
  const counts = Map.groupBy(cases, (one) => one.family)
  for (const [family, all] of counts) assert.ok(all.length >= 8, `${family} has ${all.length}`)
})
