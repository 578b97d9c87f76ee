import { readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createBpe, type Encoder, type EncodingName, packVocabulary } from './bpe.ts'
import { encodingOf } from './tokens.ts'

/**
 * The exact tokenizers. Nothing is read before this is called: call it once the server listens. Files are read off the
 * event loop; building takes it 15 ms (o200k) and 5 ms (cl100k), with a turn for others between.
 */
export async function loadTokenizers(
  read: (name: EncodingName) => Promise<Uint8Array> = readVocabulary,
): Promise<(model: string) => Encoder> {
  const [o200k, cl100k] = await Promise.all([read('o200k_base'), read('cl100k_base')])
  const o200k_base = createBpe('o200k_base', o200k)
  await setImmediate()
  const cl100k_base = createBpe('cl100k_base', cl100k)
  const encoders = { o200k_base, cl100k_base } satisfies Record<EncodingName, Encoder>
  return (model) => encoders[encodingOf(model)]
}

/** The published package carries packed vocabularies; a clone has OpenAI's own files among its development packages. */
export async function readVocabulary(
  name: EncodingName,
  bundles: URL = new URL('../../tokenizers/', import.meta.url),
): Promise<Uint8Array> {
  try {
    return await readFile(new URL(`${name}.bin`, bundles))
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  return packVocabulary(await readFile(sourceOf(name), 'latin1'))
}

/** OpenAI's vocabulary file in a clone. */
export const sourceOf = (name: EncodingName): string =>
  fileURLToPath(import.meta.resolve(`gpt-tokenizer/data/${name}.tiktoken`))
