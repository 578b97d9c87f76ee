import { GatewayError } from '../errors.ts'
import { isObject, type Json, type JsonObject, list, object, text } from '../json/json.ts'
import type { Groups } from '../router/groups.ts'
import { matched } from '../router/groups.ts'
import type { Caller } from './caller.ts'
import type { Grant } from './grant.ts'
import type { Parties } from './parties.ts'

/** Who may call which model. The same answer for a call, for lists, and for fallbacks. */
export type Access = {
  /** The model a caller's own name for it stands for (`aliases` of the key, `model_aliases` of the team). */
  aliasOf(caller: Caller, name: string): string
  mayUse(caller: Caller, name: string): boolean
  /** Throws 403 where it may not. `asked` is the name the client said. */
  refuse(caller: Caller, name: string, asked: string): void
  /** Throws 403 for a key that is bound to some models, where nobody can tell which model is meant. */
  refuseBound(caller: Caller): void
  /** Of these names, those the caller may use; and names that only its own list has, under a wildcard. */
  visible(caller: Caller, names: readonly string[]): string[]
}

type Bound = { who: 'key' | 'user' | 'team' | 'org' | 'project'; models: readonly string[] }

/** `groups`: the router's, as it is now. */
export function createAccess(groups: () => Groups, parties: Parties | undefined): Access {
  const bounds = new WeakMap<Grant, readonly Bound[]>()
  const boundsOf = (grant: Grant): readonly Bound[] => {
    let known = bounds.get(grant)
    if (!known) {
      known = read(grant)
      bounds.set(grant, known)
    }
    return known
  }

  /** Names of access groups a model group is in, as the config's rows say, and the name a team knows its own model by. */
  const groupsOfModel = (name: string): Json[] =>
    groups()
      .find(name)
      .flatMap(({ row: { info } }) => [
        ...list(info['access_groups']),
        ...[text(info['team_public_model_name'])].filter((known) => known !== undefined),
      ])

  function opens(models: readonly string[], name: string): boolean {
    let of: Json[] | undefined
    for (const one of models) {
      if (one === name || one === 'all-proxy-models' || one === '*') return true
      if (one.includes('*') && matched(one, name) !== undefined) return true
      const members = parties?.group(one)
      if (members?.some((member) => member === name || fits(member, name))) return true
      of ??= groupsOfModel(name)
      if (of.includes(one)) return true
    }
    return false
  }

  /** The first list that leaves the model out; undefined: none does. */
  function closedBy(caller: Caller, name: string): Bound['who'] | undefined {
    const { grant } = caller
    if (!grant) return teamOnly(name) === undefined ? undefined : 'team'
    for (const { who, models } of boundsOf(grant)) if (!opens(models, name)) return who
    const team = teamOnly(name)
    return team !== undefined && team !== caller.teamId ? 'team' : undefined
  }

  /** The team that alone may use a model (`model_info.team_id`). An administrator may anyway. */
  function teamOnly(name: string): string | undefined {
    let team: string | undefined
    for (const { row } of groups().find(name)) {
      const of = text(row.info['team_id'])
      if (of === undefined) return undefined
      team = of
    }
    return team
  }

  const mayUse = (caller: Caller, name: string): boolean =>
    caller.role === 'proxy_admin' && !caller.grant ? true : closedBy(caller, name) === undefined

  return {
    aliasOf({ grant }, name) {
      if (!grant) return name
      return (
        aliasIn(grant.key.data['aliases'], name) ??
        (grant.team && teamAlias(grant.team.data, name)) ??
        name
      )
    },
    mayUse,
    refuse(caller, name, asked) {
      if (caller.role === 'proxy_admin' && !caller.grant) return
      const who = closedBy(caller, name)
      if (who === undefined) return
      throw new GatewayError(
        'permission',
        `The requested model '${asked.slice(0, 200)}' is not available for this API key, or the model name is invalid. Check the models available to you and try again.`,
        { type: `${who}_model_access_denied`, param: 'model', code: '403' },
      )
    },
    refuseBound({ grant }) {
      if (!grant || boundsOf(grant).every(({ models }) => opensAll(models))) return
      throw new GatewayError(
        'permission',
        'this key is bound to some models, and this route passes whatever it is sent to a provider: use a key without such a bound, or a route that names its model',
        { type: 'key_model_access_denied', param: 'model', code: '403' },
      )
    },
    visible(caller, names) {
      const seen = names.filter((name) => mayUse(caller, name))
      const { grant } = caller
      if (!grant) return seen
      // A single name under a wildcard row stands in no list but the key's own.
      const own = boundsOf(grant)
        .flatMap(({ models }) => models)
        .filter(
          (name) =>
            !name.includes('*') &&
            !special.has(name) &&
            !seen.includes(name) &&
            groups().find(name).length > 0 &&
            mayUse(caller, name),
        )
      return [...seen, ...new Set(own)]
    },
  }
}

const aliasIn = (aliases: Json | undefined, name: string): string | undefined =>
  isObject(aliases) ? text(aliases[name]) : undefined

const teamAlias = (team: JsonObject, name: string): string | undefined =>
  aliasIn(team['model_aliases'], name) ??
  aliasIn(object(team['litellm_model_table'])['model_aliases'], name)

const opensAll = (models: readonly string[]): boolean =>
  models.includes('all-proxy-models') || models.includes('*')

const special = new Set(['all-proxy-models', 'all-team-models', 'no-default-models'])
const fits = (pattern: string, name: string): boolean =>
  pattern.includes('*') && matched(pattern, name) !== undefined

const namesOf = (value: Json | undefined): string[] =>
  list(value).filter((name): name is string => typeof name === 'string')

/** The lists that bound a key, without those that bound nothing. An empty list opens everything. */
function read(grant: Grant): Bound[] {
  const { key, user, team, member, organization, project } = grant
  const bounds: Bound[] = []
  const add = (who: Bound['who'], models: readonly string[]): void => {
    // "None by default" is no name of a model: alone, it opens nothing.
    if (models.length > 0)
      bounds.push({ who, models: models.filter((name) => name !== 'no-default-models') })
  }
  const own = namesOf(key.data['models'])
  const groups = [...namesOf(key.data['access_group_ids'])]
  const teamModels = namesOf(team?.data['models'])
  if (own.includes('all-team-models')) {
    add('team', teamModels)
    add('key', own.length > 1 ? [...own, ...teamModels] : [])
  } else add('key', own.length > 0 ? [...own, ...groups] : own)
  if (team) {
    add(
      'team',
      teamModels.length > 0 ? [...teamModels, ...namesOf(team.data['access_group_ids'])] : [],
    )
    add('team', namesOf(member?.data['allowed_models']))
  } else add('user', namesOf(user?.data['models']))
  add('org', namesOf(organization?.data['models']))
  add('project', namesOf(project?.data['models']))
  return bounds
}
