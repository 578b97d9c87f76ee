import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { bundleTokenizers } from '../../scripts/tokenizers.ts'
import { GatewayError } from '../errors.ts'
import type { EncodingName } from './bpe.ts'
import { loadTokenizers, readVocabulary } from './tokenizer.node.ts'

let folder: string
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenizers-'))
})
after(() => rm(folder, { recursive: true }))

const models: [model: string, encoder: EncodingName][] = [
  ['gpt-4o-mini', 'o200k_base'],
  ['gpt-4', 'cl100k_base'],
]

describe('tokenizers', () => {
  test('bundled vocabularies are small, and are what a clone reads', async () => {
    const sizes = await bundleTokenizers(folder)
    assert.deepEqual(sizes, { o200k_base: 1_597_668, cl100k_base: 744_086 })
    const nowhere = pathToFileURL(join(folder, 'nowhere/'))
    for (const name of ['o200k_base', 'cl100k_base'] as const) {
      const bundled = await readVocabulary(name, pathToFileURL(`${folder}/`))
      assert.ok(Buffer.from(bundled).equals(await readVocabulary(name, nowhere)), name)
    }
    assert.match(
      await readFile(join(folder, 'NOTICE'), 'utf8'),
      /MIT License, Copyright \(c\) 2022 OpenAI/,
    )
  })

  test('each model gets its encoding, built once', async () => {
    const encoderFor = await loadTokenizers()
    for (const [model, name] of models) {
      assert.equal(encoderFor(model).name, name)
      assert.equal(encoderFor(model), encoderFor(`azure/${model}`))
      assert.equal(encoderFor(model).count('hello world'), 2)
    }
  })

  test('a damaged bundle is refused with what to do', async () => {
    const whole = await readVocabulary('cl100k_base')
    await writeFile(join(folder, 'cl100k_base.bin'), whole.subarray(0, 100_000))
    const bundles = pathToFileURL(`${folder}/`)
    await assert.rejects(
      loadTokenizers((name) => readVocabulary(name, bundles)),
      (error) => GatewayError.is(error) && error.message.includes('install the package again'),
    )
  })
})
