import { deepEqual, equal, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { answered, converse, targetOf } from '../../../test/support/exchange.ts'
import type { JsonObject } from '../../json/json.ts'
import { ocr } from './ocr.ts'

const document = { type: 'document_url', document_url: 'https://x/a.pdf' }
const told = {
  pages: [{ index: 0, markdown: '# A' }],
  model: 'up',
  usage_info: { pages_processed: 3 },
}

const paths: [wire: string, model: string, path: string][] = [
  ['openai', 'mistral-ocr-latest', '/ocr'],
  ['azure', 'mistral-document-ai-2505', '/providers/mistral/azure/ocr'],
  ['vertex', 'mistral-ocr-2505', '/models/mistral-ocr-2505:rawPredict'],
]
for (const [wire, model, path] of paths)
  test(`${wire}: Mistral’s words at ${path}`, () => {
    const {
      sent,
      bodies,
      json,
      told: result,
    } = converse(
      ocr,
      wire,
      targetOf('p', model),
      { model: 'public', document, document_annotation_format: { type: 'json_schema' } },
      [[answered(told)]],
    )
    equal(sent[0]?.path, path)
    deepEqual(bodies[0], { model, document, document_annotation_format: { type: 'json_schema' } })
    equal(json['model'], 'public')
    deepEqual(result.units, { annotatedPages: 3 })
  })

const own = targetOf('azure_ai', 'doc-intelligence/prebuilt-layout')
const place = 'https://r.cognitiveservices.azure.com/documentintelligence/x/analyzeResults/1'
const begun = answered({}, { 'operation-location': place })

test('Document Intelligence: a job, a look until it is done, and pages out of one text', () => {
  const content = '# Öne\n\n<!-- PageBreak -->\n\nTwo 😀!'
  const at = content.indexOf('Two')
  const result = {
    content,
    pages: [
      { pageNumber: 1, unit: 'inch', width: 8.5, height: 11, spans: [{ offset: 0, length: at }] },
      { pageNumber: 3, unit: 'pixel', width: 5, height: 6, spans: [{ offset: at, length: 7 }] },
    ],
  }
  const {
    sent,
    bodies,
    json,
    told: answer,
    dropped,
  } = converse(ocr, 'azure', own, { model: 'public', document, pages: [0, 2], image_limit: 5 }, [
    [begun],
    [answered({ status: 'running' })],
    [answered({ status: 'succeeded', analyzeResult: result })],
  ])
  deepEqual(
    sent.map(({ method, path, root }) => [method, path, root]),
    [
      [
        undefined,
        '/documentintelligence/documentModels/prebuilt-layout:analyze?api-version=2024-11-30&outputContentFormat=markdown&stringIndexType=utf16CodeUnit&pages=1%2C3',
        true,
      ],
      ['GET', place, undefined],
      ['GET', place, undefined],
    ],
  )
  deepEqual(bodies[0], { urlSource: 'https://x/a.pdf' })
  deepEqual(dropped, ['image_limit'])
  deepEqual(json['pages'], [
    { index: 0, markdown: '# Öne', images: [], dimensions: null },
    {
      index: 2,
      markdown: 'Two 😀!'.slice(0, 7),
      images: [],
      dimensions: { dpi: null, width: 5, height: 6 },
    },
  ])
  deepEqual(answer.units, { pages: 2 })
})

test('Document Intelligence: bytes go as base64, and a failure is told', () => {
  const data = { type: 'image_url', image_url: 'data:image/png;base64,AAAA' }
  const play = (document: JsonObject, ...last: JsonObject[]) =>
    converse(ocr, 'azure', own, { model: 'public', document }, [
      [begun],
      ...last.map((one) => [answered(one)]),
    ])
  const { bodies } = play(data, { status: 'succeeded', analyzeResult: {} })
  deepEqual(bodies[0], { base64Source: 'AAAA' })
  throws(() => play(data, { status: 'failed', error: { message: 'broken' } }), /broken/)
  throws(() => play({}), { kind: 'bad_request', param: 'document' })
})

test('Cohere reads one picture, and says so of anything else', () => {
  const read = (document: JsonObject, answer: JsonObject, more: JsonObject = {}) =>
    converse(ocr, 'cohere', targetOf('cohere', 'parse-v5.0'), { document, ...more }, [
      [answered(answer)],
    ])
  const parsed = { pages: [{ markdown: { content: '# A' } }] }
  const url = 'https://x/a.png'
  const documents: JsonObject[] = [
    { type: 'image_url', image_url: url },
    { type: 'image_url', image_url: { url } },
  ]
  for (const document of documents) {
    const { sent, bodies, json, told: result, dropped } = read(document, parsed, { pages: [0] })
    equal(sent[0]?.path, '/v2/parse')
    deepEqual(bodies[0], { model: 'parse-v5.0', document: { type: 'image_url', image_url: url } })
    deepEqual(json['pages'], [{ index: 0, markdown: '# A', images: [], dimensions: null }])
    deepEqual([result.units, dropped], [{ pages: 1 }, ['pages']])
  }
  const data = 'data:image/png;base64,AAAA'
  const given = read({ type: 'document_url', document_url: data }, parsed)
  deepEqual(given.bodies[0], {
    model: 'parse-v5.0',
    document: { type: 'image_url', image_url: data },
  })
  const pdf = { type: 'document_url', document_url: 'data:application/pdf;base64,AAAA' }
  throws(() => read(pdf, parsed), { kind: 'bad_request', param: 'document' })
  throws(() => read({}, parsed), { kind: 'bad_request', param: 'document' })
  throws(() => read(documents[0] ?? {}, {}), { kind: 'bad_gateway' })
})
