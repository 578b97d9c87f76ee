import { list, object, text } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { compactUnits, counted, type Measured } from './media.ts'
import { unreachable } from './moderation.ts'
import {
  createOperation,
  type Operation,
  type OperationBody,
  type Pass,
  type PassedAnswer,
} from './operation.ts'

/** Mistral's `POST /v1/ocr`, which is everyone's: pages of a document as Markdown. */
export const ocr: Operation = createOperation<never, Measured>({
  id: 'ocr',
  dialect: openaiChat,
  wires: {},
  passes: {
    openai: passTo('/ocr'),
    // Azure AI Foundry has it below the name of who made it.
    azure: passTo('/providers/mistral/azure/ocr'),
  },
  decodeRequest: unreachable,
  encodeResult: unreachable,
  bound: (body) => ({ pages: pagesOf(body), output: 0 }),
  text: () => '',
})

function passTo(path: string): Pass {
  return { path: () => path, measure }
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

/** Pages that are named; of a whole document nobody knows. */
function pagesOf(body: OperationBody): number {
  const named = body.field('pages')
  if (Array.isArray(named)) return named.length
  const range = /^(\d{1,6})-(\d{1,6})$/.exec(text(named) ?? '')
  return range ? Math.max(1, Number(range[2]) - Number(range[1]) + 1) : 100
}
