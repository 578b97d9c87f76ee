import { list, object, text } from '../../json/json.ts'
import { openaiChat } from '../openai-chat/wire.ts'
import { usageOf } from './embeddings.ts'
import { beside, type Measured } from './media.ts'
import { createOperation, type Operation, type OperationBody } from './operation.ts'

/** OpenAI's `POST /v1/moderations`, and Mistral's, which is the same. */
export const moderation: Operation = createOperation<never, Measured>({
  id: 'moderation',
  dialect: openaiChat,
  wires: {},
  passes: {
    openai: {
      path: (to) => beside(to, '/moderations'),
      measure: (answer) => ({ usage: usageOf(answer.field('usage')) }),
    },
  },
  decodeRequest: unreachable,
  encodeResult: unreachable,
  bound: (body) => ({ textCharacters: saidIn(body).length, output: 0 }),
  text: saidIn,
})

export function unreachable(): never {
  throw new Error('every provider of this operation speaks the same words')
}

function saidIn(body: OperationBody): string {
  const input = body.field('input')
  if (typeof input === 'string') return input
  return list(input)
    .map((item) => text(item) ?? text(object(item)['text']) ?? '')
    .join('\n')
}
