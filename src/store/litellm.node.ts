import pg from 'pg'
import { GatewayError } from '../errors.ts'
import type { JsonObject } from '../json/json.ts'
import type { LitellmSource, RequestRange } from './litellm.ts'

const pageRows = 500
/** Of a request what a row here has room for: never the prompt and its answer. */
const requestColumns = [
  ...['request_id', 'litellm_call_id', 'call_type', 'api_key', 'spend', 'startTime', 'endTime'],
  ...['completionStartTime', 'request_duration_ms', 'prompt_tokens', 'completion_tokens'],
  ...['model', 'model_id', 'model_group', 'custom_llm_provider', 'user', 'metadata', 'cache_hit'],
  ...['request_tags', 'team_id', 'organization_id', 'end_user', 'requester_ip_address'],
  ...['session_id', 'status', 'agent_id', 'mcp_namespaced_tool_name'],
]
const requestTable = 'LiteLLM_SpendLogs'

/**
 * Opens LiteLLM's database for reading, in one transaction that could not write if it wanted to. Throws where it cannot be
 * reached, or holds no tables of LiteLLM.
 */
export async function openLitellm(url: string): Promise<LitellmSource> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 10_000,
    application_name: 'throughway import',
    // LiteLLM's instants are UTC and do not say so.
    options: '-c default_transaction_read_only=on -c timezone=UTC -c datestyle=ISO',
    types: { getTypeParser },
  })
  // Without a listener a connection that breaks would end the process; the query that waits tells of it.
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('begin isolation level repeatable read read only')
    const schema = await schemaOf(client, url)
    return sourceOf(client, schema, await tablesOf(client, schema), nameOf(url, schema))
  } catch (cause) {
    await client.end().catch(() => {})
    if (GatewayError.is(cause)) throw cause
    throw new GatewayError(
      'internal',
      `LiteLLM's database cannot be read (${(cause as { code?: string }).code ?? 'no answer'}): see that it runs, and that --from (or DATABASE_URL) names its user and password rightly`,
      { cause },
    )
  }
}

function sourceOf(
  client: pg.Client,
  schema: string,
  tables: ReadonlyMap<string, ReadonlySet<string>>,
  name: string,
): LitellmSource {
  const ask = async (text: string, values: readonly unknown[] = []): Promise<JsonObject[]> =>
    // Columns are texts, numbers, truths, lists of them and JSON: the parsers below make nothing else.
    (await client.query<JsonObject>(text, [...values]).catch(refuse)).rows
  const at = (table: string): string => `${quoted(schema)}.${quoted(table)}`
  const numberOf = async (text: string, values: readonly unknown[] = []): Promise<number> =>
    Number((await ask(text, values))[0]?.['n'] ?? 0)
  const columns = requestColumns.filter((one) => tables.get(requestTable)?.has(one) === true)
  const conditions = ({ from, until, after }: RequestRange) => ({
    text: `"startTime" >= $1::timestamp and "startTime" < $2::timestamp${after ? ' and ("startTime", request_id) > ($3::timestamp, $4)' : ''}`,
    values: [instant(from), instant(until), ...(after ? [instant(after.at), after.id] : [])],
  })
  return {
    name,
    tables,
    async *pages(table, key) {
      if (!tables.has(table)) return
      const order = key.map(quoted).join(', ')
      for (let last: readonly unknown[] | undefined; ; ) {
        const places = key.map((_, nth) => `$${nth + 1}`).join(', ')
        const rows = await ask(
          `select * from ${at(table)}${last ? ` where (${order}) > (${places})` : ''} order by ${order} limit ${pageRows}`,
          last,
        )
        if (rows.length > 0) yield rows
        if (rows.length < pageRows) return
        last = key.map((column) => rows.at(-1)?.[column])
      }
    },
    where: async (table, column, values) =>
      tables.has(table) && values.length > 0
        ? ask(`select * from ${at(table)} where ${quoted(column)} = any($1::text[])`, [values])
        : [],
    count: (table) =>
      tables.has(table) ? numberOf(`select count(*) as n from ${at(table)}`) : Promise.resolve(0),
    sum: (table, column) =>
      tables.get(table)?.has(column) === true
        ? numberOf(`select coalesce(sum(${quoted(column)}), 0) as n from ${at(table)}`)
        : Promise.resolve(0),
    async isEmpty(table) {
      const [said] = await ask("select has_table_privilege($1, 'select') as may", [at(table)])
      return (
        said?.['may'] === true && (await ask(`select 1 from ${at(table)} limit 1`)).length === 0
      )
    },
    async *requests(range) {
      if (!tables.has(requestTable)) return
      for (let { after } = range; ; ) {
        const { text, values } = conditions({ ...range, after })
        const rows = await ask(
          `select ${columns.map(quoted).join(', ')} from ${at(requestTable)} where ${text} order by "startTime", request_id limit ${pageRows}`,
          values,
        )
        if (rows.length > 0) yield rows
        const last = rows.at(-1)
        if (rows.length < pageRows || !last) return
        after = { at: Date.parse(String(last['startTime'])), id: String(last['request_id']) }
      }
    },
    async countRequests(range) {
      if (!tables.has(requestTable)) return 0
      const { text, values } = conditions(range)
      return numberOf(`select count(*) as n from ${at(requestTable)} where ${text}`, values)
    },
    close: () => client.end(),
  }
}

const refuse = (cause: unknown): never => {
  const { code } = cause as { code?: unknown }
  throw new GatewayError(
    'internal',
    code === '42501'
      ? "LiteLLM's tables cannot all be read by this user: name one who may, or grant it select on them"
      : `LiteLLM's database broke off (${String(code ?? 'the connection ended')}): run this again, and it goes on from there`,
    { cause },
  )
}

/** Prisma's addresses may name a schema; otherwise it is `public`, or the one that has the tables. */
async function schemaOf(client: pg.Client, url: string): Promise<string> {
  const said = URL.canParse(url) ? new URL(url).searchParams.get('schema') : null
  const { rows } = await client.query<{ name: string }>(
    `select nspname as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace
     where relname = 'LiteLLM_VerificationToken' and relkind in ('r', 'p')
       and ($1::text is null or nspname = $1)
     order by nspname <> 'public', nspname limit 1`,
    [said],
  )
  const found = rows[0]?.name
  if (found === undefined)
    throw new GatewayError(
      'internal',
      `there are no tables of LiteLLM in this database${said === null ? '' : ` (schema "${said.slice(0, 60)}")`}: name LiteLLM's own with --from postgres://…`,
    )
  return found
}

/** Those that this user may not read are among them: what is not brought over for that is not to go unsaid. */
async function tablesOf(
  client: pg.Client,
  schema: string,
): Promise<ReadonlyMap<string, ReadonlySet<string>>> {
  const { rows } = await client.query<{ table_name: string; column_name: string }>(
    `select relname as table_name, attname as column_name
     from pg_class join pg_namespace on pg_namespace.oid = relnamespace
       join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
     where nspname = $1 and relkind in ('r', 'p') and relname like 'LiteLLM\\_%' order by 1, 2`,
    [schema],
  )
  const tables = new Map<string, Set<string>>()
  for (const { table_name, column_name } of rows)
    tables.set(table_name, (tables.get(table_name) ?? new Set()).add(column_name))
  return tables
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`
const instant = (ms: number): string => new Date(ms).toISOString().replace('Z', '')

function nameOf(url: string, schema: string): string {
  const { host, pathname } = URL.canParse(url) ? new URL(url) : { host: '', pathname: url }
  return `${host}${pathname} ${schema}`.slice(0, 400)
}

/** Instants as ISO texts (of columns without a zone, which are UTC, too), counts and decimals as numbers. */
const getTypeParser = ((oid: number, format?: 'text' | 'binary') => {
  if (format !== 'binary') {
    if (oid === 20 || oid === 1700) return Number
    if (oid === 1114) return (text: string) => iso(`${text.replace(' ', 'T')}Z`)
    if (oid === 1184) return (text: string) => iso(`${text.replace(' ', 'T')}:00`)
  }
  return pg.types.getTypeParser(oid, format ?? 'text')
}) as typeof pg.types.getTypeParser
/** Null for what is no instant, as `infinity`. */
const iso = (text: string): string | null => {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : new Date(ms).toISOString()
}
