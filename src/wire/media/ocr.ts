import { noUsage } from '../../chat/chat.ts'
import { GatewayError } from '../../errors.ts'
import { type Json, type JsonObject, list, number, object, text } from '../../json/json.ts'
import { decodeError as decodeCohere } from '../cohere/errors.ts'
import { decodeError } from '../openai-chat/errors.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import {
  askOnce,
  compactUnits,
  counted,
  invalid,
  jsonBody,
  type Measured,
  type MediaWire,
  missing,
  numberOf,
  readJson,
  step,
} from './media.ts'
import {
  createOperation,
  type Operation,
  type OperationBody,
  type Pass,
  type PassedAnswer,
} from './operation.ts'

/** Mistral's `POST /v1/ocr`, which is everyone's: pages of a document as Markdown. */
export const ocr: Operation = createOperation<JsonObject, OcrResult>({
  id: 'ocr',
  dialect: openaiChat,
  wires: { 'document-intelligence': documentIntelligence(), cohere: cohere() },
  passes: {
    openai: passTo(() => '/ocr'),
    // Azure AI Foundry has it below the name of who made it, and another service of Azure reads documents too.
    azure: {
      ...passTo(() => '/providers/mistral/azure/ocr'),
      instead: ({ model }) => (ownModel.test(model) ? 'document-intelligence' : undefined),
    },
    vertex: passTo(({ model }) => `/models/${step(model)}:rawPredict`),
  },
  decodeRequest: (body) => body,
  encodeResult: ({ pages }, { model }) => ({
    type: 'json',
    value: {
      pages,
      model,
      object: 'ocr',
      usage_info: { pages_processed: pages.length, doc_size_bytes: null },
    },
  }),
  bound: (body) => ({ pages: pagesAsked(body) ?? 100, output: 0 }),
  text: () => '',
  // How long a document is whose pages are not named nobody knows: it has one.
  begun: (body) => ({ text: '', units: { pages: pagesAsked(body) ?? 1 } }),
})

function passTo(path: Pass['path']): Pass {
  return { path, measure }
}

type OcrResult = Measured & { pages: JsonObject[] }

const ownModel = /^doc-intelligence\/(.+)$/

/**
 * Azure's Document Intelligence: a job, and a look at it until it is done. It has pages as parts of one text
 * (learn.microsoft.com/rest/api/aiservices/document-models, 2026-11).
 */
function documentIntelligence(): MediaWire<JsonObject, OcrResult> {
  return {
    decodeError,
    *exchange(request, { model }, lacks) {
      const { document, pages, model: _, ...others } = request
      const left = Object.keys(others).filter((key) => others[key] !== undefined)
      if (left.length > 0) lacks(...left)
      const name = ownModel.exec(model)?.[1] ?? model
      const query = new URLSearchParams({
        'api-version': '2024-11-30',
        outputContentFormat: 'markdown',
        stringIndexType: 'utf16CodeUnit',
      })
      const chosen = pagesFrom(pages)
      if (chosen !== undefined) query.set('pages', chosen)
      const begun = yield* askOnce({
        path: `/documentintelligence/documentModels/${step(name)}:analyze?${query.toString()}`,
        root: true,
        body: jsonBody(sourceOf(object(document))),
      })
      const place = begun.header('operation-location')
      if (place === undefined)
        throw new GatewayError('bad_gateway', 'the upstream did not say where its answer will be')
      for (let looks = 0; looks < looksMax; looks++) {
        const told = readJson(
          yield* askOnce({ method: 'GET', path: place, afterMs: looks < 5 ? 1000 : 2000 }),
        )
        const status = text(told['status'])
        if (status === 'succeeded') return pagesOf(object(told['analyzeResult']))
        if (status === 'failed' || status === 'canceled')
          throw new GatewayError('bad_request', 'the document could not be read')
      }
      throw new GatewayError('timeout', 'the document was not read in ten minutes')
    },
  }
}
const looksMax = 300

/** Mistral counts from 0, Azure from 1. */
function pagesFrom(pages: Json | undefined): string | undefined {
  if (Array.isArray(pages))
    return pages.map((page) => String((numberOf(page, 'pages') ?? 0) + 1)).join(',')
  const said = text(pages)
  return said?.replace(/\d{1,6}/g, (page) => String(Number(page) + 1))
}

function sourceOf(document: JsonObject): JsonObject {
  const { document_url, image_url } = document
  const url = text(document_url) ?? text(image_url) ?? text(object(image_url)['url'])
  if (url === undefined) throw missing('document')
  return url.startsWith('data:')
    ? { base64Source: url.slice(url.indexOf(',') + 1) }
    : { urlSource: url }
}

function pagesOf({ content, pages }: JsonObject): OcrResult {
  const whole = text(content) ?? ''
  const told = list(pages).map((item, at): JsonObject => {
    const { pageNumber, spans, width, height, unit } = object(item)
    const markdown = list(spans)
      .map((span) => {
        const from = number(object(span)['offset']) ?? 0
        return whole.slice(from, from + (number(object(span)['length']) ?? 0))
      })
      .join('')
    return {
      index: (number(pageNumber) ?? at + 1) - 1,
      markdown: markdown.replace(/\n*<!-- PageBreak -->\n*$/, ''),
      images: [],
      // Of a PDF they are inches, which are no pixels.
      dimensions:
        unit === 'pixel' ? { dpi: null, width: width ?? null, height: height ?? null } : null,
    }
  })
  return { pages: told, usage: noUsage, units: { pages: told.length } }
}

/** Annotated pages cost more, and are pages all the same. */
function measure(answer: PassedAnswer, asked: OperationBody): Measured {
  const pages =
    counted(object(answer.field('usage_info'))['pages_processed']) ??
    (answer.has('pages') ? list(answer.field('pages')).length : 0)
  const annotated = asked.has('document_annotation_format') || asked.has('bbox_annotation_format')
  return {
    units: compactUnits({
      pages: annotated ? undefined : pages,
      annotatedPages: annotated ? pages : undefined,
    }),
  }
}

/** Cohere's Parse reads one picture, given or by its address (docs.cohere.com/reference/parse, 2026-11). */
function cohere(): MediaWire<JsonObject, OcrResult> {
  return {
    decodeError: decodeCohere,
    *exchange(request, { model }, lacks) {
      const { document, model: _, ...others } = request
      const left = Object.keys(others).filter((key) => others[key] !== undefined)
      if (left.length > 0) lacks(...left)
      const { document_url, image_url } = object(document)
      const url = text(image_url) ?? text(object(image_url)['url']) ?? text(document_url)
      if (url === undefined) throw missing('document')
      if (image_url === undefined && !url.startsWith('data:image/'))
        throw invalid('document', "Cohere reads pictures only: send each page as an 'image_url'.")
      const body = readJson(
        yield* askOnce({
          path: '/v2/parse',
          body: jsonBody({ model, document: { type: 'image_url', image_url: url } }),
        }),
      )
      const pages = list(body['pages']).map((item, index): JsonObject => {
        const { markdown } = object(item)
        const said = text(object(markdown)['content']) ?? text(markdown) ?? ''
        return { index, markdown: said, images: [], dimensions: null }
      })
      if (pages.length === 0)
        throw new GatewayError('bad_gateway', 'the upstream answered without pages')
      return { pages, usage: noUsage, units: { pages: pages.length } }
    },
  }
}

/** Pages that are named; of a whole document nobody knows. */
function pagesAsked(body: OperationBody): number | undefined {
  const named = body.field('pages')
  if (Array.isArray(named)) return named.length
  const range = /^(\d{1,6})-(\d{1,6})$/.exec(text(named) ?? '')
  return range ? Math.max(1, Number(range[2]) - Number(range[1]) + 1) : undefined
}
