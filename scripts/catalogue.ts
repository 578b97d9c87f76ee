import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { gunzipSync, gzipSync, inflateRawSync } from 'node:zlib'
import { isObject, type Json, type JsonObject, list, object, text } from '../src/json/json.ts'

/**
 * Writes data/models.json.gz, the catalogue of models: prices, limits and abilities, in LiteLLM's file format.
 * The facts come from one pinned release, so that two people who run this get the same file.
 *
 *   node scripts/catalogue.ts           fetch and write
 *   node scripts/catalogue.ts --check   fetch and compare; exits 1 when the files differ
 */
const pin = '1.106.2'
const member = 'litellm/model_prices_and_context_window_backup.json'
const folder = join(import.meta.dirname, '..', 'data')

function main(): void {
  const { values } = parseArgs({ options: { check: { type: 'boolean', default: false } } })
  const wheel = download()
  const source = readMember(wheel, (name) => name === member)
  const models = clean(JSON.parse(source.bytes.toString('utf8')))
  const minified = Buffer.from(JSON.stringify(sorted(models)))
  const zipped = pack(minified)
  const license = notice(
    readMember(wheel, (name) => name.endsWith('licenses/LICENSE')).bytes.toString('utf8'),
  )
  const meta = `${JSON.stringify(describe(models, source), null, 2)}\n`
  refuseOddities(models, zipped)

  if (values.check) {
    const differing = [
      gunzipSync(read('models.json.gz')).equals(minified) ? '' : 'models.json.gz',
      read('models.meta.json').toString('utf8') === meta ? '' : 'models.meta.json',
      read('LICENSE-models.txt').toString('utf8') === license ? '' : 'LICENSE-models.txt',
    ].filter((name) => name !== '')
    if (differing.length > 0)
      fail(
        `data/ differs from release ${pin}: ${differing.join(', ')}. Run node scripts/catalogue.ts and look at the diff.`,
      )
    console.log(`catalogue: ${pin} is what data/ holds`)
    return
  }
  writeFileSync(join(folder, 'models.json.gz'), zipped)
  writeFileSync(join(folder, 'models.meta.json'), meta)
  writeFileSync(join(folder, 'LICENSE-models.txt'), license)
  console.log(`catalogue: ${meta.replaceAll(/\s+/g, ' ').trim()}, ${zipped.length} bytes packed`)
}

/** The release's wheel, fetched by whichever spelling of pip this machine has. */
function download(): Buffer {
  const into = mkdtempSync(join(tmpdir(), 'throughway-catalogue-'))
  try {
    const wanted = [
      'download',
      `litellm==${pin}`,
      '--no-deps',
      '--only-binary',
      ':all:',
      '--dest',
      into,
    ]
    const spellings: [command: string, args: string[]][] = [
      ['pip', wanted],
      ['pip3', wanted],
      ['python3', ['-m', 'pip', ...wanted]],
    ]
    let heard = ''
    for (const [command, args] of spellings) {
      const run = spawnSync(command, args, { encoding: 'utf8' })
      if (run.error) continue
      if (run.status === 0) {
        const [name] = readdirSync(into).filter((file) => file.endsWith('.whl'))
        if (name) return readFileSync(join(into, name))
      }
      heard = (run.stderr || run.stdout).trim().split('\n').slice(-3).join('\n')
    }
    return heard === ''
      ? fail(
          'pip was not found. Install Python 3 with pip, then run this again: the catalogue is read from a Python package.',
        )
      : fail(
          `pip could not fetch litellm ${pin}. Check the network and the package index, or change the pin in scripts/catalogue.ts.\n${heard}`,
        )
  } finally {
    rmSync(into, { recursive: true, force: true })
  }
}

type Member = { bytes: Buffer; date: string }

/** One file out of a zip archive: a wheel is one. Stored or deflated, below 4 GB, which a wheel always is. */
function readMember(zip: Buffer, wanted: (name: string) => boolean): Member {
  const end = zip.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1'))
  if (end === -1) return fail('the wheel is not a zip archive')
  let at = zip.readUInt32LE(end + 16)
  for (let left = zip.readUInt16LE(end + 10); left > 0; left--) {
    const nameLength = zip.readUInt16LE(at + 28)
    const name = zip.toString('utf8', at + 46, at + 46 + nameLength)
    if (wanted(name)) {
      const local = zip.readUInt32LE(at + 42)
      const start = local + 30 + zip.readUInt16LE(local + 26) + zip.readUInt16LE(local + 28)
      const body = zip.subarray(start, start + zip.readUInt32LE(at + 20))
      const day = zip.readUInt16LE(at + 14)
      const date = [1980 + (day >> 9), (day >> 5) & 15, day & 31]
      return {
        bytes: zip.readUInt16LE(at + 10) === 0 ? body : inflateRawSync(body),
        date: date.map((part) => String(part).padStart(2, '0')).join('-'),
      }
    }
    at += 46 + nameLength + zip.readUInt16LE(at + 30) + zip.readUInt16LE(at + 32)
  }
  return fail('the wheel has no file of the expected name: the release has changed its layout')
}

/** Keeps every fact of every model. The sample entry is documentation, and so are the texts beside the rules. */
function clean(parsed: Json): JsonObject {
  const { sample_spec: _sample, ...models } = object(parsed)
  const { fallback_generalizations: general, ...rest } = models
  const rules = list(object(general).rules).map((rule) => {
    const { description: _prose, ...facts } = object(rule)
    return facts
  })
  return { ...rest, fallback_generalizations: { rules } }
}

function refuseOddities(models: JsonObject, zipped: Buffer): void {
  const names = Object.keys(models).filter((name) => name !== 'fallback_generalizations')
  const odd = names.filter(
    (name) => !isObject(models[name]) || !text(object(models[name]).litellm_provider),
  )
  if (odd.length > 0) fail(`entries without a provider: ${odd.slice(0, 5).join(', ')}`)
  if (names.length < 4200) fail(`only ${names.length} models: the release has lost some`)
  if (providersOf(models).size < 140)
    fail(`only ${providersOf(models).size} providers: the release has lost some`)
  if (list(object(models.fallback_generalizations).rules).length === 0)
    fail('fallback_generalizations has no rules any more: see src/provider/catalogue.ts')
  if (zipped.length >= 200_000)
    fail(`${zipped.length} bytes packed: more than the package should carry`)
}

const providersOf = (models: JsonObject): Set<string> =>
  new Set(Object.values(models).flatMap((info) => text(object(info).litellm_provider) ?? []))

function describe(models: JsonObject, source: Member): JsonObject {
  const entries = Object.entries(models).filter(([name]) => name !== 'fallback_generalizations')
  return {
    source: 'litellm wheel',
    version: pin,
    sha256: createHash('sha256').update(source.bytes).digest('hex'),
    models: entries.length,
    providers: providersOf(models).size,
    fields: new Set(entries.flatMap(([, info]) => Object.keys(object(info)))).size,
    date: source.date,
  }
}

function sorted(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.map((item) => sorted(item) ?? null)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  )
}

/** The header's operating system byte is the only one that differs between machines. */
function pack(bytes: Buffer): Buffer {
  const zipped = gzipSync(bytes, { level: 9 })
  zipped[9] = 255
  return zipped
}

function notice(license: string): string {
  const from = license.indexOf('MIT License')
  if (from === -1)
    fail('the release no longer carries an MIT notice: read its licence before you take its data')
  return `The facts in models.json.gz come from the price list of LiteLLM ${pin}\n(https://github.com/BerriAI/litellm), which is published under this licence:\n\n${license.slice(from).trim()}\n`
}

function read(name: string): Buffer {
  try {
    return readFileSync(join(folder, name))
  } catch {
    return fail(`data/${name} is missing: run node scripts/catalogue.ts`)
  }
}

function fail(message: string): never {
  throw new Error(message)
}

try {
  main()
} catch (error) {
  console.error(`catalogue: ${error instanceof Error ? error.message : error}`)
  process.exitCode = 1
}
