/** `throughway/node`: the server as the command line starts it, and its Node-only parts. */
export { type NodeTransportOptions, nodeTransport } from './call/transport.node.ts'
export { loadTokenizers } from './chat/tokenizer.node.ts'
export { readDotEnv } from './config/env.node.ts'
export { type EnvSettings, readEnvironment } from './config/environment.ts'
export { type LoadedConfig, type LoadOptions, loadConfig } from './config/load.node.ts'
export { formatNotice } from './config/notice.ts'
export {
  type Address,
  createNodeServer,
  type NodeServer,
  type ServerLimits,
  type ServerOptions,
} from './http/serve.node.ts'
export { loadCatalogue } from './provider/catalogue.node.ts'
export { defaultDataDir } from './start/data.node.ts'
export { createLog, type Level, type LogOptions } from './start/log.node.ts'
export { type Running, type StartOptions, startServer } from './start/start.node.ts'
