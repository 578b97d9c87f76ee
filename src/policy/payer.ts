import { text } from '../json/json.ts'
import type { Payer } from '../ledger/ledger.ts'
import { accountOf } from '../store/accounts.ts'
import type { AdmitSettings, Entering } from './admit.ts'
import { modelBudget } from './budgets.ts'
import type { Caller } from './caller.ts'
import type { Budget, Holder } from './terms.ts'

const lastPayers = new WeakMap<
  Caller,
  { group: string; asked: string; payer: Payer; proxy: Budget | undefined }
>()

/** Mostly the same as for the caller's last request: then it is the same object, which the journal names by a number. */
export function payerOf(
  entering: Entering,
  holders: readonly Holder[],
  settings: AdmitSettings,
): Payer {
  const { caller, customerId, group, asked, tags, sessionId, ip, userAgent, metadata } = entering
  const last = lastPayers.get(caller)
  if (
    last &&
    last.group === group &&
    last.asked === asked &&
    last.proxy === settings.proxy &&
    last.payer.customerId === customerId &&
    last.payer.ip === ip &&
    last.payer.userAgent === userAgent &&
    last.payer.sessionId === sessionId &&
    metadata === undefined &&
    last.payer.metadata === undefined &&
    tags.length === 0 &&
    last.payer.tags === undefined
  )
    return last.payer
  const payer: Payer = {
    accounts: accountsOf(holders, entering, settings),
    userId: caller.userId,
    teamId: caller.teamId,
    organizationId: caller.organizationId,
    projectId: caller.grant?.project?.id,
    customerId,
    tags: tags.length > 0 ? tags : undefined,
    keyAlias: text(caller.grant?.key.data['key_alias']),
    teamAlias: text(caller.grant?.team?.data['team_alias']),
    sessionId,
    ip,
    userAgent,
    metadata,
  }
  lastPayers.set(caller, { group, asked, payer, proxy: settings.proxy })
  return payer
}

/** Every account its spend is added to, whether it bounds anything or not. */
function accountsOf(
  holders: readonly Holder[],
  entering: Entering,
  settings: AdmitSettings,
): string[] {
  const { caller, customerId, tags, group, asked } = entering
  const accounts = new Set<string>()
  if (caller.keyId !== '' && !caller.grant) accounts.add(accountOf.key(caller.keyId))
  for (const { account, terms } of holders) {
    accounts.add(account)
    for (const window of terms.windows) accounts.add(window.account)
    if (terms.models.size > 0) {
      const own = modelBudget(terms.models, group, asked)
      if (own) accounts.add(own.account)
    }
  }
  if (customerId !== undefined) accounts.add(accountOf.customer(customerId))
  for (const tag of tags) accounts.add(accountOf.tag(tag))
  if (settings.proxy) accounts.add(settings.proxy.account)
  return [...accounts]
}
