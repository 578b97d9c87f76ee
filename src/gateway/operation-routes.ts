import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { list, object } from '../json/json.ts'
import type { Caller } from '../policy/caller.ts'
import { embeddings } from '../wire/media/embeddings.ts'
import { batchEmbedContents, embedContent } from '../wire/media/gemini-embeddings.ts'
import { imageEdit, imageGeneration, imageVariation } from '../wire/media/images.ts'
import { moderation } from '../wire/media/moderation.ts'
import { ocr } from '../wire/media/ocr.ts'
import type { Operation } from '../wire/media/operation.ts'
import { rerank } from '../wire/media/rerank.ts'
import { search } from '../wire/media/search.ts'
import { speech } from '../wire/media/speech.ts'
import { transcription, translation } from '../wire/media/transcription.ts'
import { wires } from '../wire/wires.ts'
import { serveChat } from './chat.ts'
import { json } from './models.ts'
import { serveOperation } from './operation.ts'
import {
  completionRequest,
  embeddingsAnswer,
  embeddingsRequest,
  imageAnswer,
  imageRequest,
  moderationRequest,
  rerankAnswer,
  rerankRequest,
  speechRequest,
} from './operation-schemas.ts'
import { realtimeSecretRoutes } from './realtime-secrets.ts'
import type { Route, Visit } from './routes.ts'

type Row = Pick<Route, 'summary' | 'input' | 'output'> & { otherwise?: string }

/** One operation: OpenAI's paths with and without the version, and those that name the model. */
function posts(operation: Operation, name: string, row: Row): Route[] {
  const { otherwise, ...said } = row
  const run = ({ incoming, rooms, caller, params }: Visit) =>
    serveOperation(incoming, operation, rooms, caller, {
      ...(params['model'] !== undefined && { model: params['model'] }),
      ...(otherwise !== undefined && { otherwise }),
    })
  return [
    `/v1${name}`,
    name,
    `/openai/deployments/{model+}${name}`,
    `/engines/{model+}${name}`,
  ].map((path) => ({ method: 'POST', path, permission: 'llm', ...said, run }))
}

const text = ({ incoming, rooms, caller, params }: Visit) =>
  serveChat(
    incoming,
    wires['openai-text'],
    rooms,
    caller,
    params['model'] === undefined ? {} : { model: params['model'] },
  )

/** A list of `object_permission.search_tools` that is not empty leaves out what it does not name. */
const maySearch = ({ grant }: Caller, tool: string): boolean =>
  [grant?.key, grant?.team].every((doc) => {
    const allowed = list(object(doc?.data['object_permission'])['search_tools'])
    return allowed.length === 0 || allowed.includes(tool)
  })

/** A search tool of the config by its name; the only one where none is named. */
async function searching({ incoming, rooms, caller, params }: Visit): Promise<Outgoing> {
  const { searchTools } = rooms
  const find = (): ReturnType<typeof searchTools.get> => {
    const [only] = searchTools.size === 1 ? searchTools.values() : []
    const found = params['tool'] === undefined ? only : searchTools.get(params['tool'])
    if (found && !maySearch(caller, found.group))
      throw new GatewayError(
        'permission',
        `this key may not use the search tool '${found.group.slice(0, 100)}': its object_permission.search_tools, or its team's, must name it`,
        { type: 'key_model_access_denied', param: 'search_tool_name', code: '403' },
      )
    if (found) return found
    throw new GatewayError(
      'not_found',
      params['tool'] === undefined
        ? 'name a search tool in the path: /v1/search/{tool}'
        : `there is no search tool '${params['tool'].slice(0, 100)}': see search_tools in the config`,
    )
  }
  return serveOperation(incoming, search, rooms, caller, { keptBy: find })
}

export const operationRoutes: readonly Route[] = [
  ...realtimeSecretRoutes,
  ...[
    '/v1/completions',
    '/completions',
    '/openai/deployments/{model+}/completions',
    '/engines/{model+}/completions',
  ].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: 'Legacy text completion',
      input: completionRequest,
      run: text,
    }),
  ),
  ...posts(embeddings, '/embeddings', {
    summary: 'Embeddings',
    input: embeddingsRequest,
    output: embeddingsAnswer,
  }),
  ...posts(imageGeneration, '/images/generations', {
    summary: 'Pictures from a text',
    input: imageRequest,
    output: imageAnswer,
  }),
  ...posts(imageEdit, '/images/edits', { summary: 'Pictures from pictures (a form)' }),
  ...posts(imageVariation, '/images/variations', { summary: 'Variations of a picture (a form)' }),
  ...posts(speech, '/audio/speech', { summary: 'Speech, as it is made', input: speechRequest }),
  ...posts(transcription, '/audio/transcriptions', { summary: 'What a recording says (a form)' }),
  ...posts(translation, '/audio/translations', {
    summary: 'What a recording says, in English (a form)',
  }),
  ...posts(moderation, '/moderations', {
    summary: 'Moderation',
    input: moderationRequest,
    otherwise: 'omni-moderation-latest',
  }),
  ...['/v1/search', '/search'].flatMap((path): Route[] => [
    {
      method: 'GET',
      path: `${path}/tools`,
      permission: 'info',
      summary: 'Search tools',
      run: ({ rooms, caller }) =>
        json({
          object: 'list',
          data: [...rooms.searchTools.values()]
            .filter(({ group }) => maySearch(caller, group))
            .map(({ group, provider }) => ({ search_tool_name: group, search_provider: provider })),
        }),
    },
    { method: 'POST', path, permission: 'llm', summary: 'Web search', run: searching },
    {
      method: 'POST',
      path: `${path}/{tool}`,
      permission: 'llm',
      summary: 'Web search with one tool',
      run: searching,
    },
  ]),
  ...['/v1/ocr', '/ocr'].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: 'What a document says, page by page',
      run: ({ incoming, rooms, caller }) => serveOperation(incoming, ocr, rooms, caller),
    }),
  ),
  ...(
    [
      ['embedContent', embedContent],
      ['batchEmbedContents', batchEmbedContents],
    ] as const
  ).flatMap(([name, operation]) =>
    ['/v1beta/models', '/v1/models', '/models'].map(
      (path): Route => ({
        method: 'POST',
        path: `${path}/{model+}:${name}`,
        permission: 'llm',
        summary: `Google's ${name}`,
        dialect: wires.gemini,
        run: ({ incoming, rooms, caller, params }) =>
          serveOperation(incoming, operation, rooms, caller, { model: params['model'] ?? '' }),
      }),
    ),
  ),
  ...['/v1/rerank', '/rerank', '/v2/rerank'].map(
    (path): Route => ({
      method: 'POST',
      path,
      permission: 'llm',
      summary: "Cohere's rerank",
      input: rerankRequest,
      output: rerankAnswer,
      run: ({ incoming, rooms, caller }) => serveOperation(incoming, rerank, rooms, caller),
    }),
  ),
]
