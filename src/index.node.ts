import { nodeRuntime } from './sdk/runtime.node.ts'
import { runIn } from './sdk/runtime.ts'

/** `throughway` on Node: the same names, with what Node has. */
runIn(nodeRuntime)

export * from './index.ts'
