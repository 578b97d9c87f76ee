import { GatewayError } from '../../errors.ts'
import { list, object, text } from '../../json/json.ts'
import { utf8 } from '../../json/latin1.ts'
import { decodeError as decodeAws } from '../bedrock-converse/errors.ts'
import type { ErrorAnswer, Target } from '../wire.ts'
import { type Answered, readJson, readValue, type Sent } from './media.ts'

/**
 * Where the requests and results of batches lie: in a bucket of the operator's, or on the gateway's own shelf. Names are
 * ours (letters, digits, `-`, `_`, `.` and `/`), below whatever prefix the bucket was given with.
 */
export interface Store {
  put(name: string, bytes: Uint8Array, mime: string): Sent
  /** What is not there is answered with its 404. */
  find(name: string): Sent
  remove(name: string): Sent
  /** Names that begin like this and come behind `after`, in order. */
  list(prefix: string, after: string | undefined, token: string | undefined): Sent
  listed(answer: Answered): Named
  /** As the provider's jobs name it: `s3://bucket/…`. */
  uri(name: string): string
}

export type Named = { names: readonly string[]; next: string | undefined }

type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** `bucket`, or `bucket/prefix`, as LiteLLM's users write it. */
export type Bucket = { name: string; prefix: string }

/** Throws where it is not set, or could lead to another place than a bucket. */
export function readBucket(said: string | undefined, whatToSet: string): Bucket {
  if (said === undefined)
    throw new GatewayError('bad_request', `batches need a bucket: set ${whatToSet}`, {
      status: 500,
    })
  const [, name, rest = ''] =
    /^(?:s3:\/\/|gs:\/\/)?([a-zA-Z0-9][\w.-]{1,221})(\/[\w./-]{0,500})?$/.exec(said) ?? []
  const steps = rest.split('/').filter((step) => step !== '')
  if (name === undefined || name.includes('..') || steps.some((step) => /^\.+$/.test(step)))
    throw new GatewayError(
      'bad_request',
      `'${said.slice(0, 100)}' is not the name of a bucket: set ${whatToSet}`,
      { status: 500 },
    )
  return { name, prefix: steps.map((step) => `${step}/`).join('') }
}

/** A path is signed as it is written: RFC 3986 to the letter, slashes kept. */
const escaped = (key: string): string => key.split('/').map(escapedStep).join('/')
const escapedStep = (step: string): string =>
  encodeURIComponent(step).replace(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )

/** Amazon's, by path: names with dots have no certificate of their own. `at`: AWS's own variable, or the row's word. */
export function s3Store(to: Target, bucket: Bucket): Store {
  const { s3_endpoint: at, s3_region, aws_region, s3_encryption_key: key } = to.values ?? {}
  const urlOf = (name: string) => (base: string) => {
    const region = s3_region ?? regionOf(base) ?? aws_region
    const own = at?.replace(/\/+$/, '') ?? `https://s3.${region}.${suffixOf(base)}`
    return `${own}/${bucket.name}/${escaped(bucket.prefix + name)}`
  }
  const sent = (method: Method, name: string, more: Partial<Sent> = {}): Sent => ({
    method,
    path: '',
    address: urlOf(name),
    service: 's3',
    ...(s3_region !== undefined && { region: s3_region }),
    ...more,
  })
  return {
    uri: (name) => `s3://${bucket.name}/${bucket.prefix}${name}`,
    put: (name, bytes, mime) =>
      sent('PUT', name, {
        body: { type: 'bytes', bytes, mime },
        ...(key !== undefined && {
          headers: {
            'x-amz-server-side-encryption': 'aws:kms',
            'x-amz-server-side-encryption-aws-kms-key-id': key,
          },
        }),
      }),
    find: (name) => sent('GET', name, { refusals: true }),
    remove: (name) => sent('DELETE', name),
    list(prefix, after, token) {
      const query = new URLSearchParams({
        'list-type': '2',
        prefix: bucket.prefix + prefix,
        ...(after !== undefined && { 'start-after': bucket.prefix + after }),
        ...(token !== undefined && { 'continuation-token': token }),
      })
      const asked = sent('GET', '')
      const address = (base: string) =>
        `${urlOf('')(base).split(`/${bucket.name}/`)[0]}/${bucket.name}?${query}`
      return { ...asked, address }
    },
    // Our own names have no sign that XML would write otherwise.
    listed({ bytes }) {
      const said = utf8(bytes)
      const names = [...said.matchAll(/<Key>([^<]{1,1100})<\/Key>/g)].map(([, name = '']) => name)
      const [, next] =
        /<NextContinuationToken>([^<]{1,2000})<\/NextContinuationToken>/.exec(said) ?? []
      return { names: names.map((name) => name.slice(bucket.prefix.length)), next }
    },
  }
}

const regionOf = (base: string): string | undefined =>
  /bedrock-runtime(?:-fips)?\.([a-z]{2,4}(?:-[a-z]{2,12}){1,2}-\d)\./.exec(base)?.[1]
const suffixOf = (base: string): string =>
  /\.amazonaws\.com\.cn(?:[/:]|$)/.test(base) ? 'amazonaws.com.cn' : 'amazonaws.com'

/** S3 tells its errors in XML, the other services in JSON. */
export function decodeAwsError(answer: ErrorAnswer): GatewayError {
  const [, code] = /<Code>([A-Za-z0-9]{1,100})<\/Code>/.exec(answer.body) ?? []
  if (code === undefined) return decodeAws(answer)
  const [, message] = /<Message>([^<]{1,1000})<\/Message>/.exec(answer.body) ?? []
  return decodeAws({
    ...answer,
    body: JSON.stringify({ __type: code, message: `S3: ${message ?? code}` }),
  })
}

/** Google's. */
export function gcsStore(to: Target, { name: bucket, prefix }: Bucket): Store {
  const sent = gcsSent(to)
  const place = (name: string) => gcsObject(bucket, prefix + name)
  return {
    uri: (name) => `gs://${bucket}/${prefix}${name}`,
    put: (name, bytes, mime) => ({
      ...sent(
        'POST',
        `/upload${objectsOf(bucket)}?uploadType=media&name=${escapedStep(prefix + name)}`,
      ),
      body: { type: 'bytes', bytes, mime },
    }),
    find: (name) => ({ ...sent('GET', `${place(name)}?alt=media`), refusals: true }),
    remove: (name) => sent('DELETE', place(name)),
    list(wanted, after, token) {
      const query = new URLSearchParams({
        prefix: prefix + wanted,
        fields: 'items(name),nextPageToken',
        ...(after !== undefined && { startOffset: prefix + after }),
        ...(token !== undefined && { pageToken: token }),
      })
      return sent('GET', `${objectsOf(bucket)}?${query}`)
    },
    listed(answer) {
      const { items, nextPageToken } = readJson(answer)
      const names = list(items).map((one) => text(object(one)['name']) ?? '')
      return {
        names: names.map((name) => name.slice(prefix.length)),
        next: text(nextPageToken) || undefined,
      }
    },
  }
}

/** What lies in a folder that a job of Google's names, and one thing of it as it comes; undefined: it names none. */
export function gcsFolder(
  to: Target,
  uri: string,
): { list: Sent; read(name: string): Sent } | undefined {
  const [, bucket, folder] = /^gs:\/\/([a-zA-Z0-9][\w.-]{1,221})\/(.{1,1000})$/.exec(uri) ?? []
  if (bucket === undefined || folder === undefined) return undefined
  const sent = gcsSent(to)
  const prefix = escapedStep(folder.endsWith('/') ? folder : `${folder}/`)
  return {
    list: sent('GET', `${objectsOf(bucket)}?prefix=${prefix}&fields=items(name)`),
    read: (name) => ({ ...sent('GET', `${gcsObject(bucket, name)}?alt=media`), live: true }),
  }
}

const objectsOf = (bucket: string): string => `/storage/v1/b/${bucket}/o`
const gcsObject = (bucket: string, name: string): string =>
  `${objectsOf(bucket)}/${escapedStep(name)}`

/** `STORAGE_EMULATOR_HOST` is Google's own variable, with or without `http://`. */
const gcsSent =
  ({ values }: Target) =>
  (method: Method, path: string): Sent => {
    const said = values?.['gcs_endpoint'] ?? 'https://storage.googleapis.com'
    const host = (said.includes('://') ? said : `http://${said}`).replace(/\/+$/, '')
    return { method, path: '', address: () => host + path }
  }

/** The gateway's own, for a provider whose files go before their results do. */
export const shelfStore = (): Store => ({
  uri: (name) => name,
  put: (name, bytes) => ({
    path: '',
    shelf: { save: `cloud ${name}`, text: new TextDecoder().decode(bytes) },
  }),
  find: (name) => ({ path: '', shelf: { find: `cloud ${name}` } }),
  remove: (name) => ({ path: '', shelf: { remove: `cloud ${name}` } }),
  list: (prefix) => ({ path: '', shelf: { names: `cloud ${prefix}` } }),
  listed: ({ bytes }) => ({
    names: list(readValue(bytes)).flatMap((one) => text(one)?.slice('cloud '.length) ?? []),
    next: undefined,
  }),
})
