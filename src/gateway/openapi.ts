import * as z from 'zod'
import { type JsonObject, object } from '../json/json.ts'
import { version } from '../version.ts'
import type { Route } from './routes.ts'
import { errorBody } from './schemas.ts'

/** The document of every route, from the same rows that serve them. */
export function openapi(routes: readonly Route[]): JsonObject {
  const paths: Record<string, JsonObject> = {}
  for (const route of routes) {
    const path = route.path.replaceAll('+}', '}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operation(route) }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Throughway',
      version,
      description: 'One OpenAI-compatible endpoint in front of many model providers.',
    },
    servers: [{ url: '/' }],
    paths,
    components: {
      schemas: components(routes),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'The master key or a virtual key' },
        header: { type: 'apiKey', in: 'header', name: 'x-litellm-api-key' },
      },
    },
  }
}

function operation({ path, method, permission, summary, input, output }: Route): JsonObject {
  const params = [...path.matchAll(/\{(\w+)\+?\}/g)].map(([, name = '']) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }))
  return {
    summary,
    operationId: `${method.toLowerCase()}${path.replace(/[^A-Za-z0-9]+(\w?)/g, (_, letter: string) => letter.toUpperCase())}`,
    tags: [tagOf(path)],
    ...(params.length > 0 && { parameters: params }),
    ...(permission !== 'public' && { security: [{ bearer: [] }, { header: [] }] }),
    ...(input && { requestBody: { required: true, content: json(input) } }),
    responses: {
      200: { description: 'OK', ...(output && { content: json(output) }) },
      '4XX': { description: 'What is wrong, and what to do', content: json(errorBody) },
    },
  }
}

const json = (schema: z.ZodType): JsonObject => ({
  'application/json': { schema: { $ref: `#/components/schemas/${nameOf(schema)}` } },
})

const nameOf = (schema: z.ZodType): string => schema.meta()?.id ?? 'Unnamed'

/** Every named schema once, with references the whole document can follow. */
function components(routes: readonly Route[]): JsonObject {
  const schemas: JsonObject = {}
  for (const schema of [errorBody, ...routes.flatMap(({ input, output }) => [input, output])]) {
    if (!schema || nameOf(schema) in schemas) continue
    const text = JSON.stringify(z.toJSONSchema(schema, { unrepresentable: 'any' }))
    const {
      $defs,
      $schema: _,
      $ref: __,
      ...own
    } = object(JSON.parse(text.replaceAll('"#/$defs/', '"#/components/schemas/')))
    Object.assign(schemas, object($defs))
    if (Object.keys(own).length > 0) schemas[nameOf(schema)] = own
  }
  return schemas
}

const tagOf = (path: string): string => {
  const parts = path
    .split('/')
    .filter(
      (part) =>
        part !== '' && !/^(v\d+\w*|\{.*\}|openai|deployments|engines|anthropic)$/.test(part),
    )
  return parts[0] ?? 'general'
}
