import type { CallDeps } from '../call/call.ts'
import { mockTransport } from '../call/mock.ts'
import type { Transport } from '../call/transport.ts'
import { createTokenCounter, type TokenCounter } from '../chat/tokens.ts'
import { formatNotice } from '../config/notice.ts'
import { rowOf } from '../config/routing.ts'
import { type Config, readModel } from '../config/schema.ts'
import { createReport, reportIdle } from '../config/table.ts'
import { GatewayError } from '../errors.ts'
import { abortSignalOf } from '../http/signal.ts'
import type { JsonObject } from '../json/json.ts'
import { infoOf } from '../provider/catalogue.ts'
import {
  createDeployment,
  type Deployment,
  type DeploymentDeps,
  idOf,
  type Row,
} from '../provider/deployment.ts'
import { type Resolved, resolve } from '../provider/resolve.ts'
import type { Runtime } from './runtime.ts'

/** What LiteLLM has as module attributes: they hold for calls that do not say otherwise. */
export type Settings = {
  drop_params?: boolean | undefined
  modify_params?: boolean | undefined
  num_retries?: number | undefined
  /** Seconds; 600 where nobody says. */
  request_timeout?: number | undefined
  /** False: addresses of pictures and files may lead anywhere, also into this network. */
  user_url_validation?: boolean | undefined
  /** Hosts that may be fetched from though they are not public. */
  user_url_allowed_hosts?: readonly string[] | undefined
}

/** Everything a call needs besides its options. */
export type Room = {
  readonly runtime: Runtime
  readonly settings: Settings
  readonly tokens: TokenCounter
  readonly calls: CallDeps
  resolve(model: string, custom: string | undefined, base: string | undefined): Resolved
  /** Catalogue facts of a model, with what `overrides` says better; only that where there is no catalogue. */
  infoOf(provider: string, model: string, overrides: JsonObject): JsonObject
  make(row: Row, id?: string): Deployment
  /** Tells of what has no effect; each thing once. */
  warn(message: string): void
}

const mega = 1024 * 1024

export function openRoom(runtime: () => Runtime): Room {
  const settings: Settings = {}
  const told = new Set<string>()
  const calls: CallDeps = {
    transport: (request) => runtime().transport(request),
    mock: limitedMock,
    maxLineBytes: 16 * mega,
    maxAnswerBytes: 512 * mega,
  }
  const room: Room = {
    get runtime() {
      return runtime()
    },
    settings,
    tokens: createTokenCounter({ encoderFor: (model) => runtime().encoderFor(model) }),
    get calls() {
      const { user_url_validation: validate, user_url_allowed_hosts: allowedHosts } = settings
      const media = runtime().media?.({ validate, allowedHosts })
      return media ? { ...calls, media } : calls
    },
    resolve: (model, custom, base) =>
      resolve(model, custom, {
        base,
        providerOf: (name) => runtime().catalogue()?.providerOf(name),
      }),
    infoOf(provider, model, overrides) {
      const catalogue = runtime().catalogue()
      return catalogue ? infoOf(catalogue, provider, model, overrides) : overrides
    },
    make: (row, id = idOf(row)) => createDeployment(row, depsOf(room), id),
    warn(message) {
      if (told.has(message) || told.size > 1000) return
      told.add(message)
      runtime().warn(message)
    },
  }
  return room
}

function depsOf(room: Room): DeploymentDeps {
  const { runtime, settings } = room
  return {
    env: runtime.env,
    resolve: room.resolve,
    infoOf: room.infoOf,
    dropParams: settings.drop_params === true,
    modifyParams: settings.modify_params === true,
    schemes: runtime.schemes,
    ...(runtime.connectionOf && { connectionOf: runtime.connectionOf }),
  }
}

/** One row, as if it stood in a config: `params` are read by the same table. Throws for those that are wrong. */
export function readRow(group: string, model: string, params: JsonObject, room: Room): Row {
  const report = createReport({})
  const entry = { model_name: group, litellm_params: { ...params, model } }
  const [first] = readModel(entry, noCredentials, report)
  reportIdle(report)
  const bare = (message: string) => message.replace(/^[✖⚠] (litellm_params\.?)?/, '')
  if (!first)
    throw new GatewayError(
      'bad_request',
      report.errors.map((error) => bare(formatNotice(error))).join('; '),
    )
  for (const notice of report.warnings) room.warn(bare(formatNotice(notice, 'warning')))
  return rowOf(first)
}
const noCredentials: Config['credentials'] = new Map()

/** The mock provider does not look at limits, since in a gateway nobody waits for it. */
function limitedMock(settings: Deployment): Transport {
  const answer = mockTransport(settings)
  return async (request) => {
    const ms = request.limits?.firstByteMs
    if (!ms) return answer(request)
    const passed = new AbortController()
    const timer = setTimeout(() => passed.abort(), ms)
    const signal = request.signal
      ? AbortSignal.any([abortSignalOf(request.signal), passed.signal])
      : passed.signal
    try {
      return await answer({ ...request, signal })
    } catch (cause) {
      if (!passed.signal.aborted || request.signal?.aborted) throw cause
      const text = `Timeout: the mock provider did not answer within ${ms} ms (first byte limit)`
      throw new GatewayError('timeout', text, { status: 408, cause })
    } finally {
      clearTimeout(timer)
    }
  }
}
