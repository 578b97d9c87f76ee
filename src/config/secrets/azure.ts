import { GatewayError } from '../../errors.ts'
import { type JsonObject, object, text } from '../../json/json.ts'
import { azureBearer } from '../../provider/auth/azure.ts'
import { ask, hostOf, parsed, refusal } from '../../provider/auth/exchange.ts'
import type { SecretDeps, SecretReader } from './secrets.ts'
import { signed } from './signed.ts'

/** Azure Key Vault: https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret. */
export function createAzureReader(_settings: JsonObject, deps: SecretDeps): SecretReader {
  const vault = deps.env('AZURE_KEY_VAULT_URI')?.replace(/\/{1,10}$/, '')
  if (!vault || hostOf(vault) === undefined)
    throw new GatewayError(
      'authentication',
      'Azure Key Vault: set AZURE_KEY_VAULT_URI to its address, https://NAME.vault.azure.net',
    )
  const { authorize, problem } = azureBearer(deps, scopeOf(vault))
  if (problem) throw problem
  return async (name) => {
    // Its names have no other characters, so there is nothing to ask for.
    if (!/^[0-9A-Za-z-]{1,127}$/.test(name)) return undefined
    const url = `${vault}/secrets/${name}?api-version=7.4`
    const question = { who: 'Azure Key Vault', url, ...(await signed('GET', url, authorize)) }
    const told = await ask(question, deps)
    if (told.status === 404) return undefined
    if (told.status !== 200) throw refusal(question, told)
    return text(object(parsed(told.body)).value)
  }
}

/** The vaults of a sovereign cloud trust tokens for their own address only. */
function scopeOf(vault: string): string {
  const cloud = /\.(vault\.azure\.cn|vault\.usgovcloudapi\.net)$/.exec(new URL(vault).hostname)?.[1]
  return `https://${cloud ?? 'vault.azure.net'}/.default`
}
