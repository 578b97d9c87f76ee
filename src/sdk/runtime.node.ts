import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { connectionFromEnv } from '../call/connection.node.ts'
import type { FetchMedia } from '../call/media.ts'
import type { Transport } from '../call/transport.ts'
import { createBpe, type Encoder, type EncodingName, packVocabulary } from '../chat/bpe.ts'
import { sourceOf } from '../chat/tokenizer.node.ts'
import { encodingOf } from '../chat/tokens.ts'
import { object } from '../json/json.ts'
import { NodeHash } from '../provider/auth/aws-hash.node.ts'
import { createAuthDeps } from '../provider/auth/fetch.node.ts'
import { shippedFolder } from '../provider/catalogue.node.ts'
import { createCatalogue } from '../provider/catalogue.ts'
import { holding, type MediaRules, type Runtime, signing, webRuntime } from './runtime.ts'

/** Node: connections of our own, the catalogue and the tokenizers of the package, `process.env`. Each is loaded when it is needed. */
export function nodeRuntime(): Runtime {
  const { transport, close } = lazyTransport()
  return {
    ...webRuntime(),
    env: (name) => process.env[name],
    transport,
    close,
    media: lazyMedia(),
    ...holding(() => createCatalogue(readShipped())),
    encoderFor: lazyEncoders(),
    ...signing({ ...createAuthDeps({ env: process.env }), hash: NodeHash }),
  }
}

/** Some 50 ms, once: functions that look a model up are synchronous, as LiteLLM's are. */
const readShipped = () =>
  object(JSON.parse(gunzipSync(readFileSync(join(shippedFolder(), 'models.json.gz'))).toString()))

function lazyTransport(): { transport: Transport; close(): Promise<void> } {
  type Open = Transport & { close(): Promise<void> }
  let opening: Promise<Open> | undefined
  const open = async (): Promise<Open> => {
    const { nodeTransport } = await import('../call/transport.node.ts')
    const { env } = process
    const defaults = connectionFromEnv(env, (path) => readFileSync(path, 'utf8'))
    return nodeTransport({ env, defaults })
  }
  return {
    transport: async (request) => {
      opening ??= open()
      // A file that could not be read may be there next time.
      opening.catch(() => {
        opening = undefined
      })
      return (await opening)(request)
    },
    async close() {
      const open = opening
      opening = undefined
      await (await open)?.close()
    },
  }
}

/** Most programs never name a picture by its address: what fetches it is loaded when one does. */
function lazyMedia(): (rules: MediaRules) => FetchMedia {
  let known: { rules: string; fetch: Promise<FetchMedia> } | undefined
  const open = async ({ validate, allowedHosts }: MediaRules): Promise<FetchMedia> => {
    const { createMediaFetch } = await import('../call/media.node.ts')
    const { env } = process
    const connection = connectionFromEnv(env, (path) => readFileSync(path, 'utf8'))
    return createMediaFetch({ validate, allowedHosts, connection, env })
  }
  return (said) => async (url, wanted) => {
    const rules = JSON.stringify(said)
    if (known?.rules !== rules) known = { rules, fetch: open(said) }
    const mine = known
    // A file that could not be read may be there next time.
    mine.fetch.catch(() => {
      if (known === mine) known = undefined
    })
    return (await mine.fetch)(url, wanted)
  }
}

function lazyEncoders(): (model: string) => Encoder {
  const made = new Map<EncodingName, Encoder>()
  return (model) => {
    const name = encodingOf(model)
    const known = made.get(name)
    if (known) return known
    const encoder = createBpe(name, readVocabulary(name))
    made.set(name, encoder)
    return encoder
  }
}

/** Packed in the published package, OpenAI's own file in a clone. */
function readVocabulary(name: EncodingName): Uint8Array {
  const packed = new URL(`../../tokenizers/${name}.bin`, import.meta.url)
  try {
    return readFileSync(fileURLToPath(packed))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return packVocabulary(readFileSync(sourceOf(name), 'latin1'))
  }
}
