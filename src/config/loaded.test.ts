import assert from 'node:assert/strict'
import { type LoadedConfig, loadConfig } from './load.node.ts'
import { formatNotice } from './notice.ts'

export type Files = Record<string, string>

/** A configuration from its text, and from the files it names. */
export const load = (
  text: string,
  env: Record<string, string> = {},
  files: Files = {},
): Promise<LoadedConfig> =>
  loadConfig({
    path: 'config.yaml',
    env,
    readFile: async (path) => {
      const content = path === 'config.yaml' ? text : files[path]
      if (content === undefined) throw Object.assign(new Error(path), { code: 'ENOENT' })
      return content
    },
  })

export const errorsOf = ({ errors }: LoadedConfig) => errors.map((each) => formatNotice(each))
export const warningsOf = ({ warnings }: LoadedConfig) =>
  warnings.map((each) => formatNotice(each, 'warning'))
export const clean = (loaded: LoadedConfig) => {
  assert.deepEqual(errorsOf(loaded), [])
  assert.deepEqual(warningsOf(loaded), [])
  return loaded.config
}
