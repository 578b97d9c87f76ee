import { nodeRuntime } from '../../src/sdk/runtime.node.ts'
import { holding, type Runtime } from '../../src/sdk/runtime.ts'
import { type Sdk, sdkOf } from '../../src/sdk/sdk.ts'

export type Place = {
  sdk: Sdk
  /** Milliseconds between tries, which nobody waits for. */
  slept: number[]
  warned: string[]
}

/** Read once for all: the catalogue and the tokenizers take a moment. */
const { encoderFor, catalogue } = nodeRuntime()

/** The library as Node has it, with an environment of its own and no waiting. */
export function openPlace(
  scope: { after(end: () => unknown): void },
  env: Record<string, string> = {},
  more: Partial<Runtime> = {},
): Place {
  const slept: number[] = []
  const warned: string[] = []
  const runtime: Runtime = {
    ...nodeRuntime(),
    ...holding(catalogue),
    encoderFor,
    env: (name) => env[name],
    sleep: async (ms) => void slept.push(ms),
    warn: (message) => void warned.push(message),
    ...more,
  }
  scope.after(() => runtime.close())
  return { sdk: sdkOf(() => runtime), slept, warned }
}
