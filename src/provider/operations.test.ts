import assert from 'node:assert/strict'
import { test } from 'node:test'
import { embeddings } from '../wire/media/embeddings.ts'
import { imageEdit, imageGeneration, imageVariation } from '../wire/media/images.ts'
import { moderation } from '../wire/media/moderation.ts'
import { ocr } from '../wire/media/ocr.ts'
import { rerank } from '../wire/media/rerank.ts'
import { createResource } from '../wire/media/resource.ts'
import { speech } from '../wire/media/speech.ts'
import { transcription } from '../wire/media/transcription.ts'
import { notOffered, operationsNotOffered } from './not-offered.ts'
import { mediaWireOf, whyNot } from './operations.ts'
import { providers } from './providers.ts'
import type { ProviderSpec } from './spec.ts'

const kept = ['files', 'batch'].map((id) =>
  createResource({ id, method: 'GET', path: `/${id}`, query: '', live: false, model: false }),
)
const all = [
  ...kept,
  embeddings,
  rerank,
  moderation,
  imageGeneration,
  imageEdit,
  imageVariation,
  speech,
  transcription,
  ocr,
]

test('every way a row names is one the operation knows', () => {
  let found = 0
  for (const [id, spec] of Object.entries<ProviderSpec>(providers))
    for (const operation of all) {
      const wire = mediaWireOf(spec, operation.id)
      if (wire === undefined) continue
      found++
      assert.ok(operation.knows(wire), `${id}: ${operation.id} as ${wire}`)
    }
  assert.ok(found > 100)
})

test('what a row does not list it does not offer', () => {
  assert.equal(mediaWireOf(providers.anthropic, 'embeddings'), undefined)
  assert.equal(mediaWireOf(providers.anthropic, 'files'), 'anthropic')
  assert.equal(mediaWireOf(providers.cerebras, 'embeddings'), undefined)
  assert.equal(mediaWireOf(providers.cohere, '__proto__'), undefined)
  assert.equal(mediaWireOf(providers.openai, 'embeddings'), 'openai')
  assert.equal(mediaWireOf(providers.hosted_vllm, 'rerank'), 'cohere')
})

test('what is said not to be offered is not', () => {
  const table: Readonly<Record<string, ProviderSpec>> = providers
  for (const [id, rows] of Object.entries(operationsNotOffered)) {
    const spec = table[id] ?? assert.fail(`${id} is no provider`)
    for (const operation of Object.keys(rows))
      assert.equal(mediaWireOf(spec, operation), undefined, `${id}: ${operation}`)
  }
  for (const id of Object.keys(notOffered)) assert.ok(!Object.hasOwn(table, id), id)
  assert.match(whyNot('manus', 'files') ?? '', /conversation/)
  assert.equal(whyNot('openai', 'batch'), undefined)
  assert.equal(whyNot('__proto__', 'batch'), undefined)
})
