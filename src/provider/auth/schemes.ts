import type { AuthScheme } from './auth.ts'
import { type AwsDeps, awsScheme } from './aws.ts'
import { createTokenSchemes } from './token-schemes.ts'

/** Every way to prove who we are that is more than a header, by the name providers' rows give it. Each keeps its tokens. */
export const createSchemes = (deps: AwsDeps): Readonly<Record<string, AuthScheme>> => ({
  ...createTokenSchemes(deps),
  aws: awsScheme(deps, 'bedrock'),
  'aws-sagemaker': awsScheme(deps, 'sagemaker'),
  'aws-polly': awsScheme(deps, 'polly'),
  'aws-agentcore': awsScheme(deps, 'bedrock-agentcore'),
})
