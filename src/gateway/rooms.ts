import type { CallDeps } from '../call/call.ts'
import type { Usage } from '../chat/chat.ts'
import type { TokenCounter } from '../chat/tokens.ts'
import type { Incoming } from '../http/http.ts'
import type { Json, JsonObject } from '../json/json.ts'
import type { Books } from '../ledger/books.ts'
import type { Ledger } from '../ledger/ledger.ts'
import type { Access } from '../policy/access.ts'
import type { Admit } from '../policy/admit.ts'
import type { Identify } from '../policy/identify.ts'
import type { Catalogue } from '../provider/catalogue.ts'
import type { Deployment } from '../provider/deployment.ts'
import type { Router } from '../router/router.ts'
import type { Enforced } from './enforced.ts'
import type { FieldRules } from './fields.ts'
import type { Live } from './live.ts'
import type { Memory } from './memory.ts'
import type { StorePrompts } from './payload.ts'
import type { Prices } from './prices.ts'
import type { RegisteredStore } from './vector-stores.ts'

/** Everything a request meets on its way. `router` and `settings` are replaced as a whole when the config changes. */
export type Rooms = {
  identify: Identify
  router: Router
  settings: GatewaySettings
  calls: CallDeps
  ledger: Ledger
  /** Keys, budgets and spend; absent in a gateway without a database. */
  books?: Books
  /** Limits and budgets; absent without a database. */
  admit?: Admit
  /** Who may use which model; absent: everybody every one. */
  access?: Access
  /** How the configuration changes while it is served; absent where it cannot. */
  live?: Live
  /** Answers given before, for clients that speak of them by an id. */
  memory: Memory
  catalogue: () => Promise<Catalogue>
  /** How the catalogue is fetched anew; absent where it cannot. */
  prices?: Prices
  tokens: Tokens
  now(): number
  /** A provider by its name, for what belongs to no model: with the credentials of `files_settings` and the like, of the environment otherwise. */
  provider(name: string, operation: string): Deployment | undefined
  /** `search_tools`, by name. */
  searchTools: ReadonlyMap<string, Deployment>
  /** `vector_store_registry`, by the id of the store. */
  vectorStores: ReadonlyMap<string, RegisteredStore>
  /** The same deployment with credentials a client was allowed to bring. */
  override(deployment: Deployment, brought: Record<string, Json>): Deployment
  log(
    level: 'error' | 'warn' | 'info' | 'debug',
    message: string,
    more?: Record<string, unknown>,
  ): void
  /** Milliseconds since the epoch when the process began to serve. */
  startedAt: number
}

export type Tokens = {
  counter: TokenCounter
  /** The exact tokenizers are loaded when first needed; until then counts are estimates. */
  ready(): Promise<void>
}

export type GatewaySettings = {
  fields: FieldRules
  /** Seconds; the last word when neither request nor deployment say. */
  timeoutSeconds: number
  streamTimeoutSeconds: number | undefined
  /** Overrides the model of every chat call. */
  completionModel: string | undefined
  /** Overrides the model of every call of an operation, by its name. */
  operationModels: Readonly<Record<string, string | undefined>>
  /** Rows of `general_settings.pass_through_endpoints`, and the longest wait there. */
  passThrough: readonly JsonObject[]
  passThroughSeconds: number
  /** Are the client's `x-…` headers sent on, for this model group? */
  forwardHeaders: (group: string) => boolean
  forwardOrganization: boolean
  /** Headers that name the customer (`user_header_name`, `user_header_mappings`), in lower case. */
  customerHeaders: readonly string[]
  /** The operator's own name for the header of the gateway's key, in lower case: it is never sent on. */
  keyHeader: string | undefined
  /** CORS on LLM and discovery routes: the allowed origins (`*` for all), or none. */
  corsOrigins: readonly string[]
  callIdInErrors: boolean
  /** What is done with a model nobody has a price for. */
  unpriced: 'free' | 'deny'
  /** The client's address, where proxies in front of us say it; absent: the peer's. */
  addressOf?: ((incoming: Incoming) => string) | undefined
  /** What a body must have; absent: nothing of the kind. */
  enforced?: Enforced | undefined
  /** What is kept of prompts and answers; absent: nothing. */
  storePrompts?: StorePrompts | undefined
  /** Usage in every stream, asked for or not. */
  alwaysStreamUsage: boolean
  docs: boolean
  /** `general_settings.public_routes`: paths that ask for no key. */
  publicRoutes: ReadonlySet<string>
  /** Deepest nesting of a request body. */
  jsonDepth: number
  /** litellm_settings and general_settings as they were said, for what management looks at seldom. */
  said: { readonly settings: JsonObject; readonly general: JsonObject }
}

export type CountUsage = (text: string) => Usage
