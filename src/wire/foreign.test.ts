import { deepEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from '../chat/chat.ts'
import type { JsonObject } from '../json/json.ts'
import { told } from './foreign.ts'
import type { ProviderWire, Target } from './wire.ts'
import { wires } from './wires.ts'

/** What only OpenAI's Responses know, each by a text that must not reach anybody else. */
const own: JsonObject = {
  conversation: 'SECRET-conversation',
  prompt: { id: 'SECRET-prompt' },
  previous_response_id: 'SECRET-previous',
  max_tool_calls: 3,
  moderation: { model: 'SECRET-moderation' },
  context_management: [{ type: 'SECRET-management' }],
  prompt_cache_options: { mode: 'SECRET-cache' },
  prompt_cache_key: 'SECRET-key',
  client_metadata: { a: 'SECRET-client' },
  safety_identifier: 'safe',
  truncation: 'SECRET-truncation',
  include: ['SECRET-include'],
  background: true,
  reasoning: { effort: 'low', mode: 'SECRET-mode' },
  text: { verbosity: 'medium', shape: 'SECRET-shape' },
  brand_new_field: 'SECRET-new',
}
const body: JsonObject = { model: 'm', input: 'hi', stream: false, store: true, ...own }

const models: Readonly<Record<string, string>> = {
  anthropic: 'claude-sonnet-4-5',
  'bedrock-converse': 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  'bedrock-invoke': 'anthropic.claude-sonnet-4-5-20250929-v1:0',
  replicate: 'meta/meta-llama-3-8b-instruct',
}
const targetOf = ({ id }: ProviderWire): Target => ({
  provider: 'p',
  model: models[id] ?? 'm',
  quirks: {},
  info: {},
  dropParams: true,
  modifyParams: false,
})
const wire = wires['openai-responses']
/** What Responses cannot say and one provider must have. */
const film: Message = {
  role: 'user',
  parts: [{ type: 'media', media: 'video', source: { type: 'url', url: 's3://b/film.mp4' } }],
}

/** Providers that speak it too, each in its own way. */
const kin: ReadonlySet<string> = new Set([wire.id, 'chatgpt', 'manus'])

for (const to of Object.values(wires))
  if (!kin.has(to.id))
    test(`${to.id}: what only Responses know stays here, and what is lost is named`, () => {
      const request = { ...wire.decodeRequest(body), model: 'm', dialect: wire.id }
      if (to.id === 'bedrock-pegasus') request.messages.push(film)
      const { body: sent, dropped = [] } = to.encodeRequest(request, targetOf(to))
      const found = JSON.stringify(sent).match(/SECRET-\w+/g) ?? []
      deepEqual(found, [])
      const named = told(dropped, request)
      for (const key of ['conversation', 'prompt', 'max_tool_calls', 'brand_new_field'])
        ok(named.includes(key), `${key} in ${named}`)
      for (const key of ['store', 'include', 'metadata'])
        ok(!named.includes(key), `${key} is the gateway's to answer`)
    })
