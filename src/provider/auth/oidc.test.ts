import assert from 'node:assert/strict'
import { test } from 'node:test'
import { depsOf, startEndpoint, type Told } from '../../../test/token-endpoint.ts'
import { GatewayError } from '../../errors.ts'
import { readOidc } from './oidc.ts'

test('whoever vouches for us is asked in its own way', async (t) => {
  const { url, host, asked } = await startEndpoint(t, ({ path, headers }): Told => {
    if (path.startsWith('/computeMetadata/'))
      return headers['metadata-flavor'] === 'Google' ? { text: 'ey.google\n' } : { status: 403 }
    return headers['authorization'] === 'Bearer runner'
      ? { json: { value: 'ey.github' } }
      : { status: 401, json: {} }
  })
  const env = {
    GCE_METADATA_HOST: host,
    ACTIONS_ID_TOKEN_REQUEST_URL: `${url}/token?api-version=2.0`,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'runner',
    CIRCLE_OIDC_TOKEN: 'ey.circle',
    CIRCLE_OIDC_TOKEN_V2: 'ey.circle2',
    AZURE_FEDERATED_TOKEN_FILE: '/pod',
    MINE: 'ey.mine',
    MY_PLACE: '/pod',
  }
  const cases: [said: string, token: string, path?: string][] = [
    ['oidc/env/MINE', 'ey.mine'],
    ['oidc/file//pod', 'ey.pod'],
    ['oidc/env_path/MY_PLACE', 'ey.pod'],
    ['oidc/circleci/', 'ey.circle'],
    ['oidc/circleci_v2/', 'ey.circle2'],
    ['oidc/azure/api://x', 'ey.pod'],
    [
      'oidc/google/https://a.example/b?c',
      'ey.google',
      '/computeMetadata/v1/instance/service-accounts/default/identity?audience=https%3A%2F%2Fa.example%2Fb%3Fc&format=full',
    ],
    [
      'oidc/github/sts.amazonaws.com',
      'ey.github',
      '/token?api-version=2.0&audience=sts.amazonaws.com',
    ],
  ]
  for (const [said, token, path] of cases) {
    asked.length = 0
    assert.equal(await readOidc(said, 'here', depsOf(env, { '/pod': 'ey.pod\n' })), token, said)
    assert.deepEqual(
      asked.map((one) => one.path),
      path === undefined ? [] : [path],
    )
  }
})

const wrong: [said: string, message: RegExp][] = [
  ['oidc/gitlab/x', /^here: oidc\/gitlab\/… is not known: use one of oidc\/env\/, /],
  ['oidc/', /is not known/],
  ['oidc/toString/x', /is not known/],
  ['oidc/env/NOT_SET', /^here: the environment variable NOT_SET is not set/],
  ['oidc/env_path/NOT_SET', /NOT_SET is not set/],
  ['oidc/file//nowhere', /^here: \/nowhere does not exist/],
  ['oidc/file//empty', /leads to an empty token/],
  ['oidc/google/', /needs an audience/],
  ['oidc/github/x', /ACTIONS_ID_TOKEN_REQUEST_URL is not set/],
]
for (const [said, message] of wrong)
  test(`what is wrong is said with its place: ${said}`, async () => {
    await assert.rejects(
      readOidc(said, 'here', depsOf({}, { '/empty': ' \n' })),
      (error) =>
        GatewayError.is(error) && error.kind === 'authentication' && message.test(error.message),
    )
  })
