import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { toUtf8 } from '../../json/latin1.ts'
import { NodeHash } from './aws-hash.node.ts'
import { type HashClass, sha1Hex, WebHash } from './aws-hash.ts'
import { createSign } from './aws-sign.ts'

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** The key of AWS's published suite for Signature Version 4 (docs.aws.amazon.com, "Signature Version 4 test suite"). */
const credentials = {
  accessKeyId: 'AKIDEXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
}
const at = Date.parse('2015-08-30T12:36:00Z')

type Options = {
  headers?: Record<string, string>
  region?: string
  service?: string
  hash?: HashClass
  token?: string
}

async function signature(
  method: string,
  url: string,
  body = '',
  {
    headers = {},
    region = 'us-east-1',
    service = 'service',
    hash = NodeHash,
    token = '',
  }: Options = {},
): Promise<string> {
  const request = { method, url, headers: { ...headers }, body: toUtf8(body) }
  await createSign({ hash, now: () => at })(request, {
    credentials: { ...credentials, ...(token && { sessionToken: token }) },
    region,
    service,
  })
  return new Headers(request.headers).get('authorization') ?? ''
}

const form = { headers: { 'content-type': 'application/x-www-form-urlencoded' } }
const published: [
  name: string,
  method: string,
  url: string,
  body: string,
  options: object,
  signature: string,
][] = [
  [
    'get-vanilla',
    'GET',
    'https://example.amazonaws.com/',
    '',
    {},
    '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
  ],
  [
    'get-vanilla-query-order-key-case',
    'GET',
    'https://example.amazonaws.com/?Param2=value2&Param1=value1',
    '',
    {},
    'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  ],
  [
    'post-vanilla',
    'POST',
    'https://example.amazonaws.com/',
    '',
    {},
    '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
  ],
  [
    'post-x-www-form-urlencoded',
    'POST',
    'https://example.amazonaws.com/',
    'Param1=value1',
    form,
    'ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a',
  ],
]

describe('Signature Version 4', () => {
  for (const [name, method, url, body, options, expected] of published)
    it(`published: ${name}`, async () =>
      assert.match(
        await signature(method, url, body, options),
        new RegExp(`Signature=${expected}$`),
      ))

  it('the path of a model id is escaped again, and neither host nor foreign headers can be confused', async () => {
    const url = 'https://bedrock-runtime.us-east-1.amazonaws.com/model/a.b-v1%3A0/converse'
    const options = {
      headers: {
        'content-type': 'application/json',
        'accept-encoding': 'gzip',
        'x-amzn-other': '1',
      },
      service: 'bedrock',
    }
    const plain = await signature('POST', url, '{}', options)
    assert.match(
      plain,
      /^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE\/20150830\/us-east-1\/bedrock\/aws4_request, SignedHeaders=content-type;host;x-amz-date, Signature=[0-9a-f]{64}$/,
    )
    assert.notEqual(plain, await signature('POST', url.replace('%3A', ':'), '{}', options))
    assert.notEqual(
      plain,
      await signature('POST', url.replace('us-east', 'us-west'), '{}', options),
    )
  })

  it('a signature made with Python’s botocore 1.44 is ours too', async () => {
    assert.match(
      await signature(
        'POST',
        'https://bedrock-runtime.eu-central-1.amazonaws.com/model/arn%3Aaws%3Abedrock%3Aeu-central-1%3A123456789012%3Aapplication-inference-profile%2Fabc/converse-stream',
        '{"messages":[{"role":"user","content":[{"text":"é"}]}]}',
        {
          headers: { 'content-type': 'application/json' },
          region: 'eu-central-1',
          service: 'bedrock',
          token: 'session/token+1==',
        },
      ),
      /SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=64ac7b5d5dfd09008bbb7edd296cf56f16d9f82280727bf8895c8e8e3e4178f7$/,
    )
  })

  it('S3 takes the path as it is written, and the sum of the body: as botocore 1.44 has it', async () => {
    const signed = (method: string, path: string, body: string, headers = {}) =>
      signature(method, `https://s3.eu-west-1.amazonaws.com/my-bucket/${path}`, body, {
        headers,
        region: 'eu-west-1',
        service: 's3',
      })
    assert.match(
      await signed('PUT', 'pre%20fix/a%21%28b%29%2Bc.jsonl', '{"a":1}\n', {
        'content-type': 'application/jsonl',
        'x-amz-server-side-encryption': 'aws:kms',
      }),
      /SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date;x-amz-server-side-encryption, Signature=cae5bf963efcf72819b4d5758d1b8e0fb79e8e2e6aae300639a7f6171ace2c36$/,
    )
    assert.match(
      await signed('GET', 'x', ''),
      /SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=f8e315a154180338349ddbf4f870d71b9c43995c34d558b9002289a11b9f6004$/,
    )
  })

  it('Web Crypto and Node agree', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.option(fc.uint8Array({ minLength: 1 }), { nil: undefined }),
        fc.array(fc.uint8Array(), { maxLength: 4 }),
        async (secret, pieces) => {
          const hashes = [new NodeHash(secret), new WebHash(secret)]
          for (const hash of hashes) {
            hash.update(toUtf8('forgotten'))
            hash.reset()
            for (const piece of pieces) hash.update(piece)
          }
          const [node, web] = await Promise.all(hashes.map((hash) => hash.digest()))
          assert.deepEqual(hex(node ?? new Uint8Array()), hex(web ?? new Uint8Array(1)))
        },
      ),
      { numRuns: 50 },
    )
    const request = ['POST', 'https://example.amazonaws.com/', '{}'] as const
    assert.equal(await signature(...request), await signature(...request, { hash: WebHash }))
    assert.equal(await sha1Hex('abc'), 'a9993e364706816aba3e25717850c26c9cd0d89d')
  })
})
