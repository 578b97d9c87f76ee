import { GatewayError } from '../errors.ts'
import type { Outgoing } from '../http/http.ts'
import { createResource, readKept } from '../wire/media/resource.ts'
import { wires } from '../wire/wires.ts'
import { batchHeard } from './batches.ts'
import { serveOperation } from './operation.ts'
import { passTo } from './passthrough.ts'
import type { Route, Visit } from './routes.ts'

/**
 * Files, batches and whatever else a provider keeps: passed to the deployment that keeps it. Which one is said by the id,
 * by the header `x-litellm-model`, by `model` or `target_model_names`, or by the provider's name; OpenAI's otherwise.
 */
const kept: readonly [id: string, paths: string, model?: true][] = [
  ['files', 'POST /files|GET /files|GET /files/{id}|DELETE /files/{id}|GET /files/{id}/content'],
  ['batch', 'POST /batches|GET /batches|GET /batches/{id}|POST /batches/{id}/cancel'],
  [
    'fine_tuning',
    `POST /fine_tuning/jobs|GET /fine_tuning/jobs|GET /fine_tuning/jobs/{id}|POST /fine_tuning/jobs/{id}/cancel
    |GET /fine_tuning/jobs/{id}/events|GET /fine_tuning/jobs/{id}/checkpoints`,
    true,
  ],
  [
    'vector_stores',
    `POST /vector_stores|GET /vector_stores|GET /vector_stores/{id}|POST /vector_stores/{id}|DELETE /vector_stores/{id}
    |POST /vector_stores/{id}/search|POST /vector_stores/{id}/files|GET /vector_stores/{id}/files
    |GET /vector_stores/{id}/files/{file}|POST /vector_stores/{id}/files/{file}|DELETE /vector_stores/{id}/files/{file}
    |GET /vector_stores/{id}/files/{file}/content`,
  ],
  [
    'video',
    `POST /videos|GET /videos|GET /videos/{id}|DELETE /videos/{id}|GET /videos/{id}/content|POST /videos/{id}/remix`,
    true,
  ],
  [
    'containers',
    `POST /containers|GET /containers|GET /containers/{id}|DELETE /containers/{id}|POST /containers/{id}/files
    |GET /containers/{id}/files|GET /containers/{id}/files/{file}|DELETE /containers/{id}/files/{file}
    |GET /containers/{id}/files/{file}/content`,
  ],
  [
    'assistants',
    `POST /assistants|GET /assistants|GET /assistants/{id}|POST /assistants/{id}|DELETE /assistants/{id}
    |POST /threads|GET /threads/{id}|POST /threads/{id}|DELETE /threads/{id}|POST /threads/runs
    |POST /threads/{id}/messages|GET /threads/{id}/messages|GET /threads/{id}/messages/{message}
    |POST /threads/{id}/messages/{message}|DELETE /threads/{id}/messages/{message}
    |POST /threads/{id}/runs|GET /threads/{id}/runs|GET /threads/{id}/runs/{run}|POST /threads/{id}/runs/{run}
    |POST /threads/{id}/runs/{run}/cancel|POST /threads/{id}/runs/{run}/submit_tool_outputs
    |GET /threads/{id}/runs/{run}/steps|GET /threads/{id}/runs/{run}/steps/{step}`,
    true,
  ],
]
/** LiteLLM has these with the provider in the path too. */
const byProvider = new Set(['files', 'batch', 'fine_tuning'])

const methods: Readonly<Record<string, 'GET' | 'POST' | 'DELETE'>> = {
  GET: 'GET',
  POST: 'POST',
  DELETE: 'DELETE',
}
const summaries: Readonly<Record<string, string>> = {
  files: 'Files',
  batch: 'Batches',
  fine_tuning: 'Fine-tuning jobs',
  vector_stores: 'Vector stores',
  video: 'Videos',
  containers: 'Containers',
  assistants: 'Assistants and threads',
}

export const resourceRoutes: readonly Route[] = kept.flatMap(([id, rows, model]) =>
  rows.split('|').flatMap((row): Route[] => {
    const [method = '', path = ''] = row.trim().split(' ')
    const places = [`/v1${path}`, path, ...(byProvider.has(id) ? [`/{provider}/v1${path}`] : [])]
    return places.map((place) => ({
      method: methods[method] ?? 'GET',
      path: place,
      permission: 'llm',
      summary: `${summaries[id] ?? id}: passed to the provider that keeps them`,
      run: (visit) =>
        id === 'files' && visit.incoming.header('anthropic-version') !== undefined
          ? passTo(visit, 'anthropic', wires.anthropic, visit.params['provider'])
          : serveResource(visit, id, path, model === true),
    }))
  }),
)

async function serveResource(
  { incoming, rooms, caller, params }: Visit,
  id: string,
  pattern: string,
  model: boolean,
): Promise<Outgoing> {
  let keeper: string | undefined
  const path = pattern.replace(/\{(\w+)\}/g, (_, name: string) => {
    const said = params[name] ?? ''
    const found = readKept(said)
    keeper ??= found?.keeper
    return step(found?.id ?? said)
  })
  const query = new URLSearchParams(incoming.query)
  const byName = keeper?.startsWith('provider:') ? keeper.slice('provider:'.length) : undefined
  const named =
    (byName === undefined ? keeper : undefined) ??
    incoming.header('x-litellm-model') ??
    (query.get('model') || firstOf(query.get('target_model_names')))
  const provider =
    byName ??
    params['provider'] ??
    query.get('provider') ??
    query.get('custom_llm_provider') ??
    incoming.header('custom-llm-provider') ??
    'openai'
  for (const name of ours) query.delete(name)
  const method = methods[incoming.method] ?? 'GET'
  const live = path.endsWith('/content')
  const operation = createResource({ id, method, path, query: query.toString(), live, model })
  return serveOperation(incoming, operation, rooms, caller, {
    ...(named && { model: named }),
    keptBy: () => rooms.provider(provider, id),
    ...(id === 'batch' && { heard: (answer, receipt) => batchHeard(answer, receipt, rooms) }),
  })
}

const ours = ['model', 'target_model_names', 'provider', 'custom_llm_provider', 'key']

const firstOf = (names: string | null): string | undefined =>
  names?.split(',')[0]?.trim() || undefined

/** An id stays one step of the path. */
function step(id: string): string {
  if (/^\.+$/.test(id)) throw new GatewayError('not_found', 'there is nothing of this id')
  return encodeURIComponent(id)
}
