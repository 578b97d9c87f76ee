import { GatewayError } from '../errors.ts'
import { type JsonObject, text } from '../json/json.ts'
import { toUtf8 } from '../json/latin1.ts'
import { parseObject } from '../json/parse.ts'
import { requestBounds } from '../json/peek.ts'
import { isAdmin } from '../policy/caller.ts'
import type { Deployment } from '../provider/deployment.ts'
import { type PassTarget, providerTarget, servePassthrough, wholeApi } from './passthrough.ts'
import type { Route, Visit } from './routes.ts'

/** Providers' own APIs that are more than the same path at one address. */

type UrlOf = (to: Deployment, below: string) => string

/** The row's own address, else the API's, where models are asked at another host. */
const at =
  (root: string): UrlOf =>
  ({ place }, below) =>
    (place.own ? trimmed(place.base) : root) + below

/** Below the whole of the address, whose version the client leaves out, or repeats. */
const belowBase: UrlOf = ({ place }, below) => {
  const base = trimmed(place.base)
  const version = /\/v\d+$/.exec(base)?.[0]
  return base + (version && below.startsWith(`${version}/`) ? below.slice(version.length) : below)
}

const trimmed = (base: string): string => base.replace(/\/+$/, '')

const api = (
  prefix: string,
  provider: string,
  urlOf?: UrlOf,
  more?: (target: PassTarget, visit: Visit) => PassTarget | Promise<PassTarget>,
): Route[] =>
  wholeApi(prefix, provider, (visit) => {
    const target = providerTarget(visit, prefix, provider, urlOf)
    return more ? more(target, visit) : target
  })

const refused = (why: string): GatewayError =>
  new GatewayError('permission', why, { type: 'auth_error', code: '403' })

/** Of which region speech is, from the address that is made of it. */
const speechRegion = /^https:\/\/([a-z0-9]+)\.(?:tts\.speech|api\.cognitive)\.microsoft\.com$/

/** Short sound is recognised at a host of its own; all else at the region's. A domain of the operator's serves both. */
const speechUrl: UrlOf = ({ place }, below) => {
  const base = trimmed(place.base)
  const region = speechRegion.exec(base)?.[1]
  if (region === undefined) return base.replace(/\/tts$/, '') + below
  const host = below.startsWith('/speech/') ? 'stt.speech' : 'api.cognitive'
  return `https://${region}.${host}.microsoft.com${below}`
}

function onlySpeech(target: PassTarget, { incoming, caller }: Visit): PassTarget {
  const below = incoming.path.slice('/azure_speech'.length)
  if (!/^\/speech(?:totext)?\//.test(below))
    throw new GatewayError(
      'bad_request',
      'Azure Speech is asked below /azure_speech/speech/ and /azure_speech/speechtotext/',
    )
  const fast = below === '/speechtotext/transcriptions:transcribe'
  if (below.startsWith('/speechtotext/') && !fast && !isAdmin(caller))
    throw refused(
      `${incoming.method} ${below.slice(0, 200)} reaches every transcription of the account: it is for administrators. /speechtotext/transcriptions:transcribe is for all`,
    )
  return target
}

/** The client may name another version of the API. */
function withVersion(target: PassTarget): PassTarget {
  const url = new URL(target.url)
  for (const [name, value] of Object.entries(target.deployment?.place.query ?? {}))
    if (!url.searchParams.has(name)) url.searchParams.set(name, value)
  return { ...target, url: url.href }
}

/** One key serves everybody: what belongs to the account as a whole, and lists of others' runs, are not for clients. */
async function onlyRuns(target: PassTarget, { incoming, caller }: Visit): Promise<PassTarget> {
  const { method, path } = incoming
  const below = path.slice('/tinyfish'.length)
  const starts = method === 'POST' && /^\/v1\/automation\/run(?:-async|-sse)?$/.test(below)
  const looks = method === 'GET' && /^\/v1\/runs\/[^/]+$/.test(below)
  const stops = method === 'POST' && /^\/v1\/runs\/[^/]+\/cancel$/.test(below)
  if (!starts && !looks && !stops)
    throw refused(
      'of TinyFish /v1/automation/run, run-async and run-sse, GET /v1/runs/{id} and POST /v1/runs/{id}/cancel are passed on',
    )
  if (starts && !isAdmin(caller)) {
    const body = await bodyOf({ incoming })
    const field = ['use_profile', 'profile_id', 'use_vault', 'credential_item_ids'].find(
      (name) => body[name] !== undefined,
    )
    if (field !== undefined)
      throw refused(`${field} uses what the account has saved: it is for administrators`)
  }
  return target
}

const bodyOf = async ({ incoming }: Pick<Visit, 'incoming'>): Promise<JsonObject> =>
  parseObject(await incoming.body(), requestBounds)

/** Basic, with the key as the user's name. */
function asBasic(target: PassTarget): PassTarget {
  const { deployment } = target
  const key = text(target.headers['authorization']) ?? ''
  const said = btoa(String.fromCharCode(...toUtf8(`${key}:`)))
  return {
    ...target,
    headers: { ...target.headers, authorization: `Basic ${said}` },
    deployment: deployment && { ...deployment, secrets: [...deployment.secrets, said] },
  }
}

/** Whoever is no administrator asks for collections that are stores of the config, with their credentials. */
async function milvusTarget(visit: Visit): Promise<PassTarget> {
  const target = providerTarget(visit, 'milvus', 'milvus', belowBase)
  if (!isAdmin(visit.caller))
    throw refused(
      "Milvus' own API reaches every collection: it is for administrators. Stores of vector_store_registry are for keys, at /v1/vector_stores/{id}/search",
    )
  return target
}

type Service = {
  name: string
  /** Before the operation, in X-Amz-Target. */
  target: string
  /** Dollars of an operation; undefined: its answer tells nothing, nor does its request. */
  costOf(operation: string, body: JsonObject): number | undefined
  refuse(operation: string, visit: Visit): void
}

type OperationOf = (visit: Visit) => string

/** Dollars for each hundred characters, at least one hundred (aws.amazon.com/comprehend/medical/pricing, LiteLLM's list). */
const medicalPrices: Readonly<Record<string, number>> = {
  DetectEntitiesV2: 0.01,
  DetectPHI: 0.0014,
  InferICD10CM: 0.0005,
  InferRxNorm: 0.00025,
  InferSNOMEDCT: 0.0075,
}

const services: readonly Service[] = [
  {
    name: 'comprehendmedical',
    target: 'ComprehendMedical_20181030',
    costOf: (operation, body) => {
      const characters = [...(text(body['Text']) ?? '')].length
      return Math.max(1, Math.ceil(characters / 100)) * (medicalPrices[operation] ?? 0)
    },
    refuse(operation) {
      if (!Object.hasOwn(medicalPrices, operation))
        throw new GatewayError(
          'bad_request',
          `Unsupported Comprehend Medical operation: ${operation.slice(0, 100)}. Supported operations: ${Object.keys(medicalPrices).join(', ')}`,
        )
    },
  },
  {
    name: 'transcribe',
    target: 'Transcribe',
    costOf: () => undefined,
    refuse(operation, { caller }) {
      if (!/^[A-Z][A-Za-z]{2,60}$/.test(operation))
        throw new GatewayError(
          'bad_request',
          `Unsupported Amazon Transcribe operation: ${operation.slice(0, 100)}`,
        )
      // It reads and writes whatever buckets the gateway's credentials reach.
      if (!isAdmin(caller))
        throw refused(
          'Amazon Transcribe is asked with the credentials of the gateway, which reach every job and bucket of the account: it is for administrators',
        )
    },
  },
]

/** AWS's services that take JSON: the operation is in the path, or in the header that SDKs send. */
function serviceRoutes(service: Service): Route[] {
  const run = (operationOf: OperationOf) => (visit: Visit) =>
    servePassthrough(visit, () => serviceTarget(visit, service, operationOf))
  const summary = `Amazon's ${service.name}, signed with the gateway's credentials`
  return [
    {
      method: 'POST',
      path: `/${service.name}/{operation}`,
      permission: 'llm',
      summary,
      run: run(({ params }) => params['operation'] ?? ''),
    },
    {
      method: 'POST',
      path: `/${service.name}`,
      permission: 'llm',
      summary: `${summary}, as AWS's SDKs ask`,
      run: run(({ incoming }) => {
        const [target, operation] = (incoming.header('x-amz-target') ?? '').split('.')
        if (target === service.target && operation) return operation
        throw new GatewayError(
          'bad_request',
          `Expected an X-Amz-Target header of the form ${service.target}.<Operation>`,
        )
      }),
    },
  ]
}

function serviceTarget(visit: Visit, service: Service, operationOf: OperationOf): PassTarget {
  // Bedrock's credentials are those of the account.
  const target = providerTarget(visit, service.name, 'bedrock', ({ place }) => {
    const { origin } = new URL(place.base)
    const { 1: region, 2: tail } = /\/\/bedrock-runtime\.([a-z0-9-]+)\.(.+)$/.exec(origin) ?? []
    return region === undefined ? `${origin}/` : `https://${service.name}.${region}.${tail}/`
  })
  const { deployment } = target
  const { name } = service
  return {
    ...target,
    forward: false,
    deployment: deployment && { ...deployment, id: `provider:${name}`, provider: name },
    async ready() {
      const operation = operationOf(visit)
      service.refuse(operation, visit)
      return {
        ...this,
        url: target.url.split('?', 1)[0] ?? target.url,
        headers: {
          ...target.headers,
          'content-type': 'application/x-amz-json-1.1',
          'x-amz-target': `${service.target}.${operation}`,
        },
        cost: service.costOf(operation, await bodyOf(visit)),
        service: name,
      }
    },
  }
}

export const placedRoutes: readonly Route[] = [
  ...services.flatMap(serviceRoutes),
  ...api('assemblyai', 'assemblyai', at('https://api.assemblyai.com')),
  ...api('eu.assemblyai', 'assemblyai', at('https://api.eu.assemblyai.com')),
  ...api('azure_speech', 'azure_speech', speechUrl, onlySpeech),
  ...api('gigachat', 'gigachat', belowBase),
  ...api('watsonx', 'watsonx', belowBase, withVersion),
  ...api('tinyfish', 'tinyfish_agent', undefined, onlyRuns),
  ...api('typesafe', 'typesafe'),
  ...wholeApi('milvus', 'milvus', milvusTarget),
  ...api('vertex_ai/discovery', 'vertex_ai', at('https://discoveryengine.googleapis.com')),
  // After the routes for its editor.
  ...api('cursor', 'cursor', undefined, asBasic),
]
