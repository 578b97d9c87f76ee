/**
 * `throughway/gateway`: the gateway as a function from request to answer, for every runtime that has fetch. It imports no
 * Node module; whoever opens it brings the environment, the way out and the catalogue.
 */
export { fetchTransport } from './call/fetch.ts'
export type { Connection, Limits, Reply, Transport, Upstream } from './call/transport.ts'
export { createTokenCounter, type TokenCounter } from './chat/tokens.ts'
export type { Notice } from './config/notice.ts'
export { type Config, type ConfigRead, readConfig } from './config/schema.ts'
export { type FaultKind, faults, GatewayError } from './errors.ts'
export { createGateway } from './gateway/gateway.ts'
export { type Defaults, type OpenDeps, openRooms } from './gateway/open.ts'
export type { GatewaySettings, Rooms, Tokens } from './gateway/rooms.ts'
export type { Route, Visit } from './gateway/routes.ts'
export type { Handler, Incoming, Outgoing } from './http/http.ts'
export { type FetchOptions, serveFetch } from './http/serve.ts'
export { createLedger, type Entry, type Ledger, type Sink, type Totals } from './ledger/ledger.ts'
export type { Caller, Permission, Role } from './policy/caller.ts'
export {
  createIdentify,
  type FindCaller,
  type Identify,
  type IdentifyOptions,
} from './policy/identify.ts'
export {
  type Catalogue,
  type CatalogueHolder,
  createCatalogue,
  createCatalogueHolder,
} from './provider/catalogue.ts'
export { version } from './version.ts'
