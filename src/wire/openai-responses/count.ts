import { extrasOf, number } from '../../json/json.ts'
import type { Count } from '../wire.ts'

/** OpenAI's count of a response's input, which takes the body of the response (responses/input_tokens, 2026-11). */
export const count: Count = {
  url: (chat) => {
    const [path = '', query] = chat.split('?')
    return `${path}/input_tokens${query === undefined ? '' : `?${query}`}`
  },
  encode: (body) => extrasOf(body, ofTheAnswer) ?? {},
  decode: ({ input_tokens }) => number(input_tokens),
  answer: (tokens) => ({ object: 'response.input_tokens', input_tokens: tokens }),
}

const ofTheAnswer = new Set(['stream', 'store', 'background', 'max_output_tokens', 'include'])
