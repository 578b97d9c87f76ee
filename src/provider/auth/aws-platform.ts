import { text } from '../../json/json.ts'
import type { AuthDeps } from './auth.ts'
import {
  type AwsCredentials,
  ask,
  type CredentialDeps,
  complete,
  failure,
  isPlain,
  parse,
  refused,
  timeOf,
} from './aws-keys.ts'
import { readTokenFile } from './aws-sts.ts'

/** The service beside a container (ECS, EKS). */
export async function fromContainer(deps: CredentialDeps): Promise<AwsCredentials | undefined> {
  const { env } = deps
  const relative = env('AWS_CONTAINER_CREDENTIALS_RELATIVE_URI')
  const url = relative
    ? `http://169.254.170.2${relative}`
    : env('AWS_CONTAINER_CREDENTIALS_FULL_URI')
  if (!url) return undefined
  if (!isContainerService(url))
    throw refused(
      'AWS_CONTAINER_CREDENTIALS_FULL_URI must be an https address or one of this machine: a token would leave it unencrypted',
    )
  const file = env('AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE')
  const token = file ? await readTokenFile(file, deps) : env('AWS_CONTAINER_AUTHORIZATION_TOKEN')
  const who = 'the container credential service'
  const answer = await ask(
    {
      method: 'GET',
      url,
      headers: token ? { authorization: token } : {},
      timeoutMs: metadataTimeoutMs,
    },
    who,
    deps,
  )
  if (answer.status !== 200) throw failure(who, answer.status, '')
  return fromDocument(who, answer.body, deps)
}

/** Over plain HTTP only to this machine and to the addresses of ECS and EKS, as AWS's SDKs have it. */
function isContainerService(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname } = new URL(text)
  return (
    protocol === 'https:' ||
    (protocol === 'http:' &&
      (/^127\.\d+\.\d+\.\d+$/.test(hostname) ||
        ['localhost', '[::1]', '169.254.170.2', '169.254.170.23', '[fd00:ec2::23]'].includes(
          hostname,
        )))
  )
}

/** EC2's metadata service, version 2 only: a token first, so that a forged request from inside gets nothing. */
export async function fromMachine(deps: CredentialDeps): Promise<AwsCredentials | undefined> {
  const machine = await openMachine(deps)
  if (!machine) return undefined
  const { base, headers } = machine
  const timeoutMs = metadataTimeoutMs
  const path = `${base}/latest/meta-data/iam/security-credentials/`
  const who = 'the EC2 metadata service'
  const roles = await ask({ method: 'GET', url: path, headers, timeoutMs }, who, deps)
  const role = roles.body.split('\n')[0]?.trim()
  if (roles.status !== 200 || !role)
    throw refused('this EC2 machine has no role: attach an instance profile, or give keys')
  const answer = await ask(
    { method: 'GET', url: path + encodeURIComponent(role), headers, timeoutMs },
    who,
    deps,
  )
  if (answer.status !== 200) throw failure(who, answer.status, '')
  return fromDocument(who, answer.body, deps)
}

/** Where this EC2 machine stands; undefined on any other. */
export async function machineRegion(deps: AuthDeps): Promise<string | undefined> {
  const machine = await openMachine(deps)
  const told =
    machine &&
    (await deps
      .fetch({
        method: 'GET',
        url: `${machine.base}/latest/meta-data/placement/region`,
        headers: machine.headers,
        timeoutMs: metadataTimeoutMs,
      })
      .catch(() => undefined))
  return told?.status === 200 ? told.body.trim() || undefined : undefined
}

async function openMachine(
  deps: AuthDeps,
): Promise<{ base: string; headers: Record<string, string> } | undefined> {
  const { env } = deps
  if (isMetadataOff(env)) return undefined
  const base = (
    env('AWS_EC2_METADATA_SERVICE_ENDPOINT') ??
    (env('AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE')?.toLowerCase() === 'ipv6'
      ? 'http://[fd00:ec2::254]'
      : 'http://169.254.169.254')
  ).replace(/\/+$/, '')
  // Nobody answers: this is no EC2 machine, or it gives nothing to us.
  const token = await deps
    .fetch({
      method: 'PUT',
      url: `${base}/latest/api/token`,
      headers: { 'x-aws-ec2-metadata-token-ttl-seconds': '21600' },
      timeoutMs: metadataTimeoutMs,
    })
    .catch(() => undefined)
  if (token?.status !== 200 || !isPlain(token.body)) return undefined
  return { base, headers: { 'x-aws-ec2-metadata-token': token.body } }
}

export const isMetadataOff = (env: AuthDeps['env']): boolean =>
  env('AWS_EC2_METADATA_DISABLED')?.toLowerCase() === 'true'

function fromDocument(who: string, body: string, deps: CredentialDeps): AwsCredentials {
  const said = parse(body)
  const code = text(said.Code)
  if (code !== undefined && code !== 'Success') throw failure(who, 200, code)
  return complete(who, {
    accessKeyId: text(said.AccessKeyId),
    secretAccessKey: text(said.SecretAccessKey),
    sessionToken: text(said.Token),
    expires: timeOf(text(said.Expiration), deps),
  })
}

/** The service is on this machine or nowhere. */
const metadataTimeoutMs = 1000
