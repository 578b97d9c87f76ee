import type { Plan, Planner } from './plan.ts'

/** DataForSEO: a login and a password, which LiteLLM's users also write as the key `login:password`. */
export const dataforseo: Planner = (settings) => {
  const own = settings.own('api_key')
  if (own?.includes(':')) return basic(own)
  const login = settings.env('DATAFORSEO_LOGIN')
  const password = settings.env('DATAFORSEO_PASSWORD')
  if (own === undefined && login && password) return basic(`${login}:${password}`)
  return {
    type: 'wrong',
    message:
      'DataForSEO: no credentials. Set DATAFORSEO_LOGIN and DATAFORSEO_PASSWORD, or api_key to login:password',
  }
}

function basic(pair: string): Plan {
  const bytes = new TextEncoder().encode(pair)
  const coded = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
  return {
    type: 'headers',
    headers: { authorization: `Basic ${coded}` },
    secrets: [pair.slice(pair.indexOf(':') + 1), coded],
  }
}
