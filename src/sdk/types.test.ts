import { equal } from 'node:assert/strict'
import { test } from 'node:test'
import type OpenAI from 'openai'
import type * as face from '../index.ts'

/** Nothing here runs: it compiles only if the types are right. */
type Face = typeof face
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const yes = <T extends true>(): T | undefined => undefined

const ask = { model: 'mock/any', messages: [{ role: 'user', content: 'Hi' }] } as const

export async function answers({ completion }: Face): Promise<void> {
  const whole = await completion(ask)
  yes<Same<typeof whole, face.ChatCompletion>>()
  yes<Same<(typeof whole.choices)[0]['message']['content'], string | null>>()
  yes<Same<typeof whole._hidden_params.response_cost, number | null>>()
  // What is not listed is there, but nothing is known of it.
  yes<Same<typeof whole.system_fingerprint, unknown>>()

  const stream = await completion({ ...ask, stream: true })
  for await (const chunk of stream) yes<Same<typeof chunk, face.ChatCompletionChunk>>()
  yes<Same<typeof stream, face.ChatCompletionStream>>()
  const silent = await completion({ ...ask, stream: false })
  yes<Same<typeof silent, face.ChatCompletion>>()

  const either = await completion({ ...ask, stream: Math.random() > 0.5 })
  yes<Same<typeof either, face.ChatCompletion | face.ChatCompletionStream>>()
}

export async function options({ completion }: Face): Promise<void> {
  // Both spellings, and what only a provider knows.
  await completion({ ...ask, max_tokens: 5, top_p: 1, api_key: 'k', num_retries: 1, top_k: 3 })
  await completion({ ...ask, maxTokens: 5, topP: 1, apiKey: 'k', numRetries: 1, extraBody: {} })
  await completion({ ...ask, fallbacks: ['a/b', { model: 'c/d', api_key: 'k', temperature: 0 }] })
  await completion({
    ...ask,
    tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
    tool_choice: { type: 'function', function: { name: 'f' } },
    response_format: { type: 'json_schema', json_schema: { name: 'n', schema: {}, strict: true } },
  })
  // @ts-expect-error a number is wanted
  await completion({ ...ask, temperature: 'hot' })
  // @ts-expect-error the same, by its other name
  await completion({ ...ask, maxTokens: 'many' })
  // @ts-expect-error messages are needed
  await completion({ model: 'a/b' })
  // @ts-expect-error there is no such role
  await completion({ model: 'a/b', messages: [{ role: 'boss', content: 'Hi' }] })
  // @ts-expect-error a message says no such thing
  await completion({ model: 'a/b', messages: [{ role: 'user', contnet: 'Hi' }] })
}

export async function withOpenAi(
  { completion }: Face,
  messages: OpenAI.ChatCompletionMessageParam[],
  tools: OpenAI.ChatCompletionFunctionTool[],
): Promise<OpenAI.ChatCompletionMessageParam> {
  const { choices } = await completion({ model: 'openai/gpt-4o', messages, tools })
  const [first] = choices
  // And back into the history.
  return { role: 'assistant', content: first?.message.content ?? null }
}

export async function besideChat(sdk: Face): Promise<void> {
  const { data } = await sdk.embedding({ model: 'a/b', input: ['a'], encodingFormat: 'base64' })
  yes<Same<(typeof data)[0]['embedding'], string | number[]>>()
  const sound = await sdk.speech({ model: 'a/b', input: 'a', voice: 'alloy' })
  yes<Same<typeof sound.body, Response['body']>>()
  const chunks = await sdk.text_completion({ model: 'a/b', prompt: 'a', stream: true })
  yes<Same<typeof chunks, face.TextCompletionStream>>()
  const said = await sdk.aresponses({ model: 'a/b', input: 'a', maxOutputTokens: 5 })
  yes<Same<typeof said, face.ResponsesAnswer>>()
  // @ts-expect-error documents are needed
  await sdk.rerank({ model: 'a/b', query: 'a' })
  // @ts-expect-error a file is bytes
  await sdk.transcription({ model: 'a/b', file: 5 })
  yes<Same<Face['aimage_edit'], Face['imageEdit']>>()
}

export function others(sdk: Face): void {
  yes<Same<ReturnType<Face['cost_per_token']>, [number, number]>>()
  yes<Same<Face['get_model_info'], Face['getModelInfo']>>()
  yes<Same<Face['supports_pdf_input'], Face['supportsPdfInput']>>()
  yes<Same<Face['completion'], Face['acompletion']>>()
  const router: face.Router = new sdk.Router({
    model_list: [{ model_name: 'a', litellm_params: { model: 'groq/b', api_key: 'k', rpm: 10 } }],
    num_retries: 1,
    routingStrategy: 'simple-shuffle',
  })
  yes<Same<typeof router.completion, face.Completion>>()
  yes<Same<typeof router.aembedding, Face['embedding']>>()
  // @ts-expect-error rows have names
  new sdk.Router({ model_list: [{ litellm_params: { model: 'groq/b' } }] })
  sdk.get_model_info({ model: 'gpt-4o', customLlmProvider: 'azure' })
  // @ts-expect-error a text or a conversation
  sdk.token_counter({ model: 'gpt-4o', text: 5 })
  const error: face.APIError = new sdk.ContextWindowExceededError('too long')
  yes<Same<typeof error.status_code, number>>()
}

test('the types are right: tsc reads this file', () => {
  equal(typeof answers, 'function')
  equal(typeof besideChat, 'function')
})
