import type { AuthScheme } from './auth.ts'
import { type AwsDeps, awsScheme } from './aws.ts'
import { createTokenSchemes } from './token-schemes.ts'

/** Every way to prove who we are that is more than a header, by the name providers' rows give it. Each keeps its tokens. */
export const createSchemes = (deps: AwsDeps): Readonly<Record<string, AuthScheme>> => ({
  ...createTokenSchemes(deps),
  aws: awsScheme(deps, 'bedrock'),
  'aws-mantle': awsScheme(deps, 'bedrock-mantle'),
  'aws-sagemaker': awsScheme(deps, 'sagemaker'),
  'aws-polly': awsScheme(deps, 'polly'),
  'aws-s3vectors': awsScheme(deps, 's3vectors'),
  'aws-agentcore': awsScheme(deps, 'bedrock-agentcore'),
})
