import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { azureBearer } from '../../provider/auth/azure.ts'
import { ask, hostOf, parsed, refusal, type Told } from '../../provider/auth/exchange.ts'
import type { SecretDeps, SecretReader, SecretWriter } from './secrets.ts'
import { signed, unnameable } from './signed.ts'

/** Azure Key Vault: https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret. */
export function createAzureReader(_settings: JsonObject, deps: SecretDeps): SecretReader {
  const ask = openAzure(deps)
  return async (name) => {
    // Its names have no other characters, so there is nothing to ask for.
    if (!isName(name)) return undefined
    const { told, refused } = await ask('GET', name)
    if (told.status === 404) return undefined
    if (told.status !== 200) throw refused
    return text(object(parsed(told.body)).value)
  }
}

/** A new version, or a new secret. */
export function createAzureWriter(_settings: JsonObject, deps: SecretDeps): SecretWriter {
  const ask = openAzure(deps)
  return async (name, value) => {
    if (!isName(name)) throw unnameable('Azure Key Vault', name, 'letters, digits and -')
    const { told, refused } = await ask('PUT', name, value)
    if (told.status !== 200) throw refused
  }
}

const isName = (name: string): boolean => /^[0-9A-Za-z-]{1,127}$/.test(name)

function openAzure(deps: SecretDeps) {
  const vault = deps.env('AZURE_KEY_VAULT_URI')?.replace(/\/{1,10}$/, '')
  if (!vault || hostOf(vault) === undefined)
    throw new GatewayError(
      'authentication',
      'Azure Key Vault: set AZURE_KEY_VAULT_URI to its address, https://NAME.vault.azure.net',
    )
  const { authorize, problem } = azureBearer(deps, scopeOf(vault))
  if (problem) throw problem
  return async (
    method: 'GET' | 'PUT',
    name: string,
    value?: string,
  ): Promise<{ told: Told; refused: GatewayError }> => {
    const url = `${vault}/secrets/${name}?api-version=7.4`
    const json = value === undefined ? undefined : { value }
    const { secrets, ...proof } = await signed(
      method,
      url,
      authorize,
      {},
      json ? JSON.stringify(json) : '',
    )
    const question = {
      who: 'Azure Key Vault',
      url,
      ...(json && { json }),
      ...proof,
      secrets: value === undefined ? secrets : [...secrets, value],
    }
    const told = await ask(question, deps)
    return { told, refused: refusal(question, told) }
  }
}

/** The vaults of a sovereign cloud trust tokens for their own address only. */
function scopeOf(vault: string): string {
  const cloud = /\.(vault\.azure\.cn|vault\.usgovcloudapi\.net)$/.exec(new URL(vault).hostname)?.[1]
  return `https://${cloud ?? 'vault.azure.net'}/.default`
}
