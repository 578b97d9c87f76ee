import type * as z from 'zod'
import { GatewayError } from '../errors.ts'
import type { Incoming, Outgoing } from '../http/http.ts'
import type { Socket } from '../http/socket.ts'
import type { JsonObject } from '../json/json.ts'
import type { Caller, Permission } from '../policy/caller.ts'
import type { Wire } from '../wire/wire.ts'
import { wires } from '../wire/wires.ts'
import { serveChat } from './chat.ts'
import { compactResponse } from './compact.ts'
import { cursorChat } from './cursor.ts'
import { docsPage } from './docs.ts'
import { generateContent, streamGenerateContent } from './gemini.ts'
import { alive, health, readiness } from './health.ts'
import { interactionRoutes } from './interactions.ts'
import {
  anthropicModel,
  anthropicModels,
  geminiModel,
  geminiModels,
  modelFor,
  modelsFor,
} from './model-forms.ts'
import { json, modelGroupInfo, modelInfo } from './models.ts'
import { openapi } from './openapi.ts'
import { operationRoutes } from './operation-routes.ts'
import { placedRoutes } from './pass-places.ts'
import { nativeFileRoutes, passthroughRoutes } from './passthrough.ts'
import { connectRealtime, needsWebSocket, serveGeminiLive } from './realtime.ts'
import { resourceRoutes } from './resources.ts'
import { createResponse } from './responses.ts'
import { needsSocket, serveResponsesSocket } from './responses-socket.ts'
import type { Rooms } from './rooms.ts'
import {
  chatAnswer,
  chatRequest,
  messagesRequest,
  modelList,
  responsesRequest,
  tokenCount,
  tokenCountRequest,
} from './schemas.ts'
import { storedResponse } from './stored.ts'
import { countTokens, geminiCountTokens } from './tokens.ts'
import { transformRequest } from './transform-request.ts'
import { costMap, supportedParams, tokenCounter } from './utilities.ts'

/** One row per method and path. A row without a permission does not compile; what is not here is not served. */
export type Route = {
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `{name}` stands for one segment, `{name+}` for one or more, slashes included. */
  path: string
  permission: Permission
  /** In whose words errors are told; default OpenAI's. */
  dialect?: Wire
  /** One line for /openapi.json. */
  summary: string
  /** Body and answer, for /openapi.json. */
  input?: z.ZodType
  output?: z.ZodType
  run(visit: Visit): Promise<Outgoing> | Outgoing
  /** It tells of every route, those that come later too. */
  tellsAll?: true
  /** The conversation over a WebSocket, where the path is one; it lasts as long as the promise. */
  socket?(visit: Visit, socket: Socket): Promise<void>
  /** The same where something has to be opened before the handshake is answered; throws to refuse it. */
  connect?(visit: Visit): Promise<(socket: Socket) => Promise<void>>
}

export type Visit = {
  incoming: Incoming
  rooms: Rooms
  caller: Caller
  /** What stood for the path's `{…}`, percent-decoding done. */
  params: Readonly<Record<string, string>>
  /** Every route of this gateway; absent: those of this file. */
  routes?: readonly Route[]
}

const chat = wires['openai-chat']

const queryOf = ({ query }: Incoming): URLSearchParams => new URLSearchParams(query)

type Row = Omit<Route, 'method' | 'path'>

/** Several paths of one route, spaces between. */
const route = (method: Route['method'], paths: string, row: Row): Route[] =>
  paths.split(' ').map((path) => ({ ...row, method, path }))

const geminiPaths = (method: string): string =>
  ['/v1beta/models', '/v1/models', '/models'].map((path) => `${path}/{model+}:${method}`).join(' ')

const responsesPaths = (tail: string): string =>
  ['/v1/responses', '/responses', '/openai/v1/responses'].map((path) => path + tail).join(' ')

const livePaths = ['v1beta', 'v1alpha', 'v1']
  .map(
    (version) =>
      `/ws/google.ai.generativelanguage.${version}.GenerativeService.BidiGenerateContent`,
  )
  .join(' ')

export const routes: readonly Route[] = [
  ...route('POST', '/v1/chat/completions /chat/completions', {
    permission: 'llm',
    summary: 'Chat completion',
    input: chatRequest,
    output: chatAnswer,
    run: ({ incoming, rooms, caller }) => serveChat(incoming, chat, rooms, caller),
  }),
  ...route('POST', '/queue/chat/completions', {
    permission: 'admin',
    summary: 'The same, at the path of the queue there once was: nothing waits here',
    input: chatRequest,
    output: chatAnswer,
    run: ({ incoming, rooms, caller }) => serveChat(incoming, chat, rooms, caller),
  }),
  ...route(
    'POST',
    '/openai/deployments/{model+}/chat/completions /engines/{model+}/chat/completions',
    {
      permission: 'llm',
      summary: 'Chat completion of the model in the path (Azure clients)',
      input: chatRequest,
      output: chatAnswer,
      run: ({ incoming, rooms, caller, params }) =>
        serveChat(incoming, chat, rooms, caller, { model: params['model'] ?? '' }),
    },
  ),
  ...route('POST', '/cursor/chat/completions /cursor/v1/chat/completions', {
    permission: 'llm',
    summary: "Chat completion for Cursor's editor, whose bodies may be those of Responses",
    run: cursorChat,
  }),
  ...route('GET', '/cursor/models /cursor/v1/models', {
    permission: 'info',
    summary: "Models, for Cursor's editor",
    output: modelList,
    run: modelsFor,
  }),
  ...route('POST', responsesPaths(''), {
    permission: 'llm',
    summary: "OpenAI's Responses",
    input: responsesRequest,
    run: createResponse,
  }),
  ...route('GET', responsesPaths(''), {
    permission: 'llm',
    summary: 'Responses over a WebSocket',
    run: needsSocket,
    socket: serveResponsesSocket,
  }),
  ...route('GET', responsesPaths('/{id}'), {
    permission: 'llm',
    summary: 'A response made before by the same key',
    run: storedResponse('get'),
  }),
  ...route('DELETE', responsesPaths('/{id}'), {
    permission: 'llm',
    summary: 'Forget a response',
    run: storedResponse('delete'),
  }),
  ...route('POST', responsesPaths('/{id}/cancel'), {
    permission: 'llm',
    summary: 'Stop a response that is made in the background',
    run: storedResponse('cancel'),
  }),
  ...route('POST', responsesPaths('/compact'), {
    permission: 'llm',
    summary: 'A long conversation as a short one to go on with',
    input: responsesRequest,
    run: compactResponse,
  }),
  ...route('GET', responsesPaths('/{id}/input_items'), {
    permission: 'llm',
    summary: 'What a response was an answer to',
    run: storedResponse('input_items'),
  }),
  ...route('POST', '/v1/messages /anthropic/v1/messages', {
    permission: 'llm',
    summary: "Anthropic's Messages",
    dialect: wires.anthropic,
    input: messagesRequest,
    run: ({ incoming, rooms, caller }) => serveChat(incoming, wires.anthropic, rooms, caller),
  }),
  ...route('POST', '/v1/messages/count_tokens /anthropic/v1/messages/count_tokens', {
    permission: 'llm',
    summary: "Anthropic's count of what a message would read",
    dialect: wires.anthropic,
    run: countTokens(wires.anthropic),
  }),
  ...route('POST', responsesPaths('/input_tokens'), {
    permission: 'llm',
    summary: "OpenAI's count of what a response would read",
    run: countTokens(wires['openai-responses']),
  }),
  ...route('POST', geminiPaths('countTokens'), {
    permission: 'llm',
    summary: "Google's countTokens",
    dialect: wires.gemini,
    run: geminiCountTokens,
  }),
  ...route('POST', geminiPaths('generateContent'), {
    permission: 'llm',
    summary: "Google's generateContent",
    dialect: wires.gemini,
    run: generateContent,
  }),
  ...route('POST', geminiPaths('streamGenerateContent'), {
    permission: 'llm',
    summary: "Google's streamGenerateContent: events with alt=sse, one JSON list without",
    dialect: wires.gemini,
    run: streamGenerateContent,
  }),
  ...route('GET', '/v1/realtime /realtime /openai/v1/realtime /openai/realtime', {
    permission: 'llm',
    summary: "OpenAI's Realtime over a WebSocket",
    run: needsWebSocket,
    connect: connectRealtime,
  }),
  ...route('GET', livePaths, {
    permission: 'llm',
    summary: "Google's Live API over a WebSocket",
    dialect: wires.gemini,
    run: needsWebSocket,
    socket: serveGeminiLive,
  }),
  ...operationRoutes,
  ...resourceRoutes,
  ...nativeFileRoutes,
  ...interactionRoutes,
  ...route('GET', '/v1/models /models', {
    permission: 'info',
    summary: 'Models the caller may use',
    output: modelList,
    run: modelsFor,
  }),
  ...route('GET', '/v1/models/{id+} /models/{id+}', {
    permission: 'info',
    summary: 'One model',
    run: modelFor,
  }),
  ...route('GET', '/anthropic/v1/models', {
    permission: 'info',
    summary: "The same in Anthropic's words, as any path of models with anthropic-version",
    dialect: wires.anthropic,
    run: anthropicModels,
  }),
  ...route('GET', '/anthropic/v1/models/{id+}', {
    permission: 'info',
    summary: "One model in Anthropic's words",
    dialect: wires.anthropic,
    run: anthropicModel,
  }),
  ...route('GET', '/v1beta/models', {
    permission: 'info',
    summary: "The same in Google's words, as any path of models with x-goog-api-key",
    dialect: wires.gemini,
    run: geminiModels,
  }),
  ...route('GET', '/v1beta/models/{id+}', {
    permission: 'info',
    summary: "One model in Google's words",
    dialect: wires.gemini,
    run: geminiModel,
  }),
  ...route('GET', '/v1/model/info /model/info', {
    permission: 'info',
    summary: 'Deployments with their facts',
    run: ({ incoming, rooms, caller }) => modelInfo(rooms, queryOf(incoming), caller),
  }),
  ...route('GET', '/model_group/info', {
    permission: 'info',
    summary: 'Model groups with their facts',
    run: ({ incoming, rooms, caller }) => modelGroupInfo(rooms, queryOf(incoming), caller),
  }),
  ...route('POST', '/utils/token_counter', {
    permission: 'info',
    summary: 'Count the tokens of a request',
    input: tokenCountRequest,
    output: tokenCount,
    run: ({ incoming, rooms }) => tokenCounter(incoming, rooms),
  }),
  ...route('POST', '/utils/transform_request', {
    permission: 'info',
    summary: 'The request a provider would be sent',
    run: transformRequest,
  }),
  ...route('GET', '/utils/supported_openai_params', {
    permission: 'info',
    summary: 'OpenAI parameters a model takes',
    run: ({ incoming, rooms }) => supportedParams(rooms, queryOf(incoming)),
  }),
  ...route('GET', '/get/litellm_model_cost_map', {
    permission: 'info',
    summary: 'The catalogue of models and prices',
    run: ({ rooms }) => costMap(rooms),
  }),
  ...route('GET', '/public/litellm_model_cost_map /public/model_cost_map', {
    permission: 'public',
    summary: 'The same, as it is published',
    run: ({ rooms }) => costMap(rooms),
  }),
  ...route('GET', '/health', {
    permission: 'admin',
    summary: 'Calls every deployment once',
    run: ({ incoming, rooms }) => health(rooms, queryOf(incoming), incoming.signal),
  }),
  ...route('GET', '/health/liveliness /health/liveness', {
    permission: 'public',
    summary: 'The process runs',
    run: () => alive(),
  }),
  ...route('GET', '/health/readiness', {
    permission: 'public',
    summary: 'The gateway can serve',
    run: ({ rooms }) => readiness(rooms),
  }),
  ...route('GET', '/routes', {
    permission: 'info',
    summary: 'Every route',
    tellsAll: true,
    run: ({ routes: all = routes }) =>
      json({
        routes: all.map(({ path, method, summary }) => ({
          path,
          methods: [method],
          name: summary,
        })),
      }),
  }),
  ...route('GET', '/openapi.json', {
    permission: 'public',
    summary: 'This document',
    tellsAll: true,
    run: ({ rooms, routes: all = routes }) =>
      rooms.settings.docs ? json(documentOf(all)) : noDocs(),
  }),
  ...route('GET', '/docs /', {
    permission: 'public',
    summary: 'The same for people',
    run: ({ rooms }) => (rooms.settings.docs ? docsPage() : noDocs()),
  }),
  // Last: what is not known by then is the provider's own.
  ...placedRoutes,
  ...passthroughRoutes,
]

/** Made when first asked for: turning schemas into JSON costs more than a start should. */
const documents = new WeakMap<readonly Route[], JsonObject>()
function documentOf(all: readonly Route[]): JsonObject {
  let document = documents.get(all)
  if (!document) documents.set(all, (document = openapi(all)))
  return document
}

function noDocs(): never {
  throw new GatewayError('not_found', 'the API docs are switched off (NO_DOCS)')
}

const none: Readonly<Record<string, string>> = {}
type Compiled<Row> = { route: Row; pattern: RegExp; names: string[] }
export type Table<Row = Route> = {
  match(
    method: string,
    path: string,
  ): { route: Row; params: Readonly<Record<string, string>> } | { allowed: string[] }
}

/** Plain paths by a map, the others by pattern, most specific first. */
export function compile<Row extends Pick<Route, 'method' | 'path'>>(
  all: readonly Row[],
): Table<Row> {
  const plain = new Map<string, Map<string, Row>>()
  const patterns: Compiled<Row>[] = []
  for (const one of all) {
    if (!one.path.includes('{')) {
      const methods = plain.get(one.path) ?? new Map<string, Row>()
      methods.set(one.method, one)
      plain.set(one.path, methods)
      continue
    }
    const names: string[] = []
    const source = one.path
      .replace(/[.*?^$()|[\]\\]/g, '\\$&')
      .replace(/\{(\w+)(\+?)\}/g, (_, name: string, more: string) => {
        names.push(name)
        return more ? '(.+)' : '([^/]+)'
      })
    patterns.push({ route: one, pattern: new RegExp(`^${source}$`), names })
  }
  return {
    match(method, asked) {
      // Google's SDKs write the colon before a method as %3A.
      const path = asked.includes('%3') ? asked.replace(/%3A/gi, ':') : asked
      const methods = plain.get(path)
      const exact = methods?.get(method) ?? (method === 'HEAD' ? methods?.get('GET') : undefined)
      if (exact) return { route: exact, params: none }
      const allowed = methods ? [...methods.keys()] : []
      for (const { route: one, pattern, names } of patterns) {
        const found = pattern.exec(path)
        if (!found) continue
        if (one.method !== method) {
          allowed.push(one.method)
          continue
        }
        const params: Record<string, string> = {}
        names.forEach((name, at) => {
          params[name] = decode(found[at + 1] ?? '')
        })
        return { route: one, params }
      }
      return { allowed }
    },
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    throw new GatewayError('bad_request', 'the path has a broken percent-encoding')
  }
}
