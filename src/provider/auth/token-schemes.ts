import { createAnthropicScheme } from './anthropic.ts'
import type { AuthDeps, AuthScheme } from './auth.ts'
import {
  type AzureSchemeOptions,
  azureFoundry,
  createAzureAiScheme,
  createAzureScheme,
} from './azure.ts'
import { createChatgptScheme } from './chatgpt.ts'
import { copilot } from './copilot.ts'
import { dataforseo } from './dataforseo.ts'
import { createGoogleScheme } from './google.ts'
import { databricks, gigachat, watsonx } from './oauth.ts'
import { createOciScheme } from './oci.ts'
import { createPlannedScheme } from './plan.ts'
import { sap } from './sap.ts'
import { snowflake } from './snowflake.ts'

/** Every scheme of this room but AWS's, by the name a provider's row gives it. */
export const createTokenSchemes = (
  deps: AuthDeps,
  options: AzureSchemeOptions = {},
): Record<TokenSchemeName, AuthScheme> => ({
  anthropic: createAnthropicScheme(deps),
  azure: createAzureScheme(deps, options),
  'azure-ai': createAzureAiScheme(deps, options),
  'azure-foundry': createPlannedScheme(azureFoundry, deps),
  chatgpt: createChatgptScheme(deps),
  copilot: createPlannedScheme(copilot, deps),
  databricks: createPlannedScheme(databricks, deps),
  dataforseo: createPlannedScheme(dataforseo, deps),
  gigachat: createPlannedScheme(gigachat, deps),
  google: createGoogleScheme(deps),
  oci: createOciScheme(deps),
  sap: createPlannedScheme(sap, deps),
  snowflake: createPlannedScheme(snowflake, deps),
  watsonx: createPlannedScheme(watsonx, deps),
})

export type TokenSchemeName =
  | 'anthropic'
  | 'azure'
  | 'azure-ai'
  | 'azure-foundry'
  | 'chatgpt'
  | 'copilot'
  | 'databricks'
  | 'dataforseo'
  | 'gigachat'
  | 'google'
  | 'oci'
  | 'sap'
  | 'snowflake'
  | 'watsonx'
