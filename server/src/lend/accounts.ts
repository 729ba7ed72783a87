import type { Injection, Proof } from '@keyward/contract'
import { AppError, reasonOf, Secret } from '../core/index.ts'
import type { Claim, Needs as LendNeeds, Login } from './lend.ts'
import type { LeaseRow } from './lend-store.ts'
import { type ProbedLease, unanswered } from './receipts.ts'

/** Kinds of which an account is lent: who signs in, and with what password. */
export type AccountKind = Extract<Injection, { kind: Login['kind'] }>
export const isAccount = (how: Injection): how is AccountKind =>
  how.kind === 'postgres' || how.kind === 'redis'

export type Account = { readonly username: string; readonly password: Secret }
type Fields = Readonly<Record<string, Secret>>
type Needs = Pick<LendNeeds, 'store' | 'clock' | 'vault'> & {
  /** Resolves when no use is under way: one that began before the lease ended may still have an account made. */
  idle(): Promise<void>
}
type Kept = { username: string; password: string; leaseId: string; expiresAt: number }

/** What a client may sign in as when it does not know the real name, which some databases give out only at the login. */
export const anyUser = 'keyward'
/** Before its end, so that it does not end during a login. */
const marginMs = 30_000
const placeOf = (leaseId: string): string => `lend/accounts/${leaseId}`

/** Why a login may not be made, after "lent"; undefined when it may. */
export function loginRefusal(how: Injection, { login, placeholder }: Claim): string | undefined {
  // Its key signs here, and is given to nobody.
  if (how.kind === 'ssh' && placeholder !== '') return 'as a key of the SSH agent, not for a request.'
  if (!login) return isAccount(how) ? 'for a login that is made outside, not for a request.' : undefined
  if (how.kind !== login.kind) return `for something else than a login of ${login.kind}.`
  if (how.kind !== 'postgres' || how.databases.includes(login.database)) return undefined
  return `for ${how.databases.join(', ')}, not for the database ${login.database.slice(0, 100)}.`
}

/**
 * The accounts of leases. Those of a database engine are made for one lease, kept encrypted as long as they are good, and dropped at
 * the database with it; the others stand in the vault.
 */
export function createAccounts({ store, clock, vault, idle }: Needs) {
  const { sealed, accounts } = vault
  const making = new Map<string, Promise<Account>>()

  async function make(row: LeaseRow): Promise<Account> {
    if (!accounts) throw new AppError('secret.not_found', `${row.secret_path} is of no database engine.`)
    const kept = await sealed.get(placeOf(row.id))
    const known = kept && (JSON.parse(kept.toString()) as Kept)
    if (known && known.expiresAt > clock.now().getTime() + marginMs)
      return { username: known.username, password: new Secret(known.password) }
    const { username, password, leaseId, expiresAt } = await accounts.read(row.secret_path)
    if (leaseId !== undefined && expiresAt) {
      const next: Kept = { username, password: password.reveal(), leaseId, expiresAt: expiresAt.getTime() }
      await store.write((tx) => sealed.put(tx, placeOf(row.id), Buffer.from(JSON.stringify(next))))
    }
    return { username, password }
  }

  async function end({ leaseId }: ProbedLease): Promise<readonly Proof[]> {
    await idle()
    const kept = await sealed.get(placeOf(leaseId))
    if (!kept || !accounts) return []
    const by = 'database engine'
    const how = 'its role was dropped at the database'
    try {
      await accounts.end((JSON.parse(kept.toString()) as Kept).leaseId)
    } catch (error) {
      return [unanswered(by, reasonOf(error), how)]
    }
    await store.write((tx) => sealed.delete(tx, placeOf(leaseId)))
    return [{ by, how, answer: 'revoked', result: 'confirmed', livesUntil: null }]
  }

  return {
    isMade: (path: string): boolean => accounts?.has(path) ?? false,
    /** `fields`: of the secret, where it stands in the vault. Throws `egress.denied` when the client names another user. */
    async of(row: LeaseRow, how: AccountKind, fields: Fields | undefined, user: string): Promise<Account> {
      const account = fields ? standing(row, how, fields) : await once(row)
      if (['', anyUser, account.username].includes(user)) return account
      throw new AppError(
        'egress.denied',
        `The lease is for ${account.username}; sign in as that, or as ${anyUser}.`,
      )
    },
    end,
  }

  /** Logins at the same time share one account. */
  function once(row: LeaseRow): Promise<Account> {
    const known = making.get(row.id)
    if (known) return known
    const made = make(row).finally(() => making.delete(row.id))
    making.set(row.id, made)
    return made
  }
}

function standing(row: LeaseRow, how: AccountKind, fields: Fields): Account {
  const field = (name: string): Secret => {
    const value = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (!value) throw new AppError('secret.not_found', `${row.secret_path} has no field ${name} any more.`)
    return value
  }
  const username = how.usernameField === undefined ? 'default' : field(how.usernameField).reveal()
  return { username, password: field(row.field) }
}
