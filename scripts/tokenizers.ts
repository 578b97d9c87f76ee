import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createBpe, type EncodingName, packVocabulary } from '../src/chat/bpe.ts'
import { sourceOf } from '../src/chat/tokenizer.node.ts'

/**
 * Writes the vocabularies the published package carries into `outDir` (`dist/tokenizers`), and answers with their
 * sizes in bytes. The sources are checked against the sums tiktoken itself checks (tiktoken_ext/openai_public.py).
 */
export async function bundleTokenizers(outDir: string): Promise<Record<EncodingName, number>> {
  await mkdir(outDir, { recursive: true })
  const sizes: Record<EncodingName, number> = { o200k_base: 0, cl100k_base: 0 }
  for (const name of names) {
    const source = await readFile(sourceOf(name))
    const sum = createHash('sha256').update(source).digest('hex')
    if (sum !== sums[name])
      throw new Error(`${sourceOf(name)} is not OpenAI's vocabulary: its sha256 is ${sum}`)
    const packed = packVocabulary(source.toString('latin1'))
    if (createBpe(name, packed).count('hello world') !== 2)
      throw new Error(`${name} does not count after packing`)
    await writeFile(join(outDir, `${name}.bin`), packed)
    sizes[name] = packed.length
  }
  await writeFile(join(outDir, 'NOTICE'), notice)
  return sizes
}

const sums: Record<EncodingName, string> = {
  o200k_base: '446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d',
  cl100k_base: '223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7',
}
const names: readonly EncodingName[] = ['o200k_base', 'cl100k_base']

const notice = `The vocabularies in this folder are OpenAI's, from https://github.com/openai/tiktoken, packed.

MIT License, Copyright (c) 2022 OpenAI, Shantanu Jain

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`

if (import.meta.main) console.log(await bundleTokenizers(process.argv[2] ?? 'dist/tokenizers'))
