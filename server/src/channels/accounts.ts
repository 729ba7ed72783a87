import type { ChannelAccountView } from '@keyward/contract'
import type { Audit } from '../audit/index.ts'
import type { Bus } from '../bus/index.ts'
import { AppError, actorOf, type Clock, newId, type Principal, type Secret } from '../core/index.ts'
import { hashToken, type Identity, randomToken } from '../identity/index.ts'
import type { Reader, Store } from '../store/index.ts'
import {
  type AccountRow,
  type ChatAccount,
  deleteAccount,
  findAccount,
  putAccount,
  putCode,
  readAccount,
  readAccounts,
  takeCode,
} from './accounts-store.ts'

type Needs = {
  store: Pick<Store, 'write' | 'get' | 'all'>
  audit: Pick<Audit, 'record'>
  bus: Pick<Bus, 'publish'>
  clock: Clock
  identity: Pick<Identity, 'person'>
}

const codeMs = 10 * 60_000

/**
 * Which chat account belongs to which person. Only the person says so: signed in to Keyward, they ask for a code, and send it from the
 * chat. What a chat tells of its users, names and mail addresses, is what their administrators have written, and links nothing.
 */
export function createAccounts({ store, audit, bus, clock, identity }: Needs) {
  const now = (): number => clock.now().getTime()

  /** As somebody who has not just signed in: a chat does not prove that. */
  async function principalOf(personId: string, reader?: Reader): Promise<Principal | undefined> {
    const person = await identity.person(personId, reader)
    if (!person || person.disabled) return undefined
    return { kind: 'person', id: person.id, name: person.name, roles: person.roles }
  }

  async function viewOf(row: AccountRow): Promise<ChannelAccountView> {
    const { id, kind, workspace, account, person_id } = row
    const person = await principalOf(person_id)
    return {
      id,
      kind,
      workspace,
      account,
      person: `person:${person_id}`,
      personName: person?.name ?? 'disabled',
      linkedAt: new Date(row.linked_at).toISOString(),
    }
  }

  return {
    /** Ten minutes, once. 95 bits: nobody tries them all. */
    async issueCode(by: Principal): Promise<{ code: Secret; expiresAt: Date }> {
      if (by.kind !== 'person')
        throw new AppError('request.invalid', 'only a person has a chat account: sign in as one')
      const code = randomToken('kwc_', 16)
      const expiresAt = now() + codeMs
      await store.write((tx) => putCode(tx, { hash: hashToken(code.reveal()), personId: by.id, expiresAt }))
      return { code, expiresAt: new Date(expiresAt) }
    },
    /** Who the code belongs to; undefined when it is wrong, used or too old. */
    async link(who: ChatAccount, code: string): Promise<Principal | undefined> {
      return store.write(async (tx) => {
        const personId = await takeCode(tx, hashToken(code), now())
        const person = personId === undefined ? undefined : await principalOf(personId, tx)
        if (!person) return undefined
        const before = await findAccount(tx, who)
        const row = { ...who, id: newId('cha', clock.now()), person_id: person.id, linked_at: now() }
        await putAccount(tx, row)
        const target = `account:${row.id}`
        const detail = { ...who, before: before ? `person:${before.person_id}` : null }
        await audit.record(tx, {
          type: 'channel.linked',
          outcome: 'done',
          actor: actorOf(person),
          target,
          detail,
        })
        await bus.publish(tx, { type: 'channel.linked', subject: target })
        return person
      })
    },
    /** The person of a chat account, as long as they may sign in. */
    async personOf(who: ChatAccount): Promise<Principal | undefined> {
      const row = await findAccount(store, who)
      return row && principalOf(row.person_id)
    },
    list: async (): Promise<ChannelAccountView[]> => Promise.all((await readAccounts(store)).map(viewOf)),
    /** One's own; an owner's, anybody's. Throws `channel.account_not_found`, `policy.denied`. */
    async unlink(accountId: string, by: Principal): Promise<void> {
      await store.write(async (tx) => {
        const row = await readAccount(tx, accountId)
        if (!row) throw new AppError('channel.account_not_found', `there is no linked account '${accountId}'`)
        if (row.person_id !== by.id && !by.roles.includes('owner'))
          throw new AppError('policy.denied', 'only an owner parts the chat account of somebody else')
        await deleteAccount(tx, accountId)
        const target = `account:${accountId}`
        const { kind, workspace, account, person_id } = row
        const detail = { kind, workspace, account, person: `person:${person_id}` }
        await audit.record(tx, {
          type: 'channel.unlinked',
          outcome: 'done',
          actor: actorOf(by),
          target,
          detail,
        })
        await bus.publish(tx, { type: 'channel.unlinked', subject: target })
      })
    },
    /** From the chat itself; false when there was no link. */
    async unlinkOf(who: ChatAccount): Promise<boolean> {
      const row = await findAccount(store, who)
      const person = row && (await principalOf(row.person_id))
      if (!row || !person) return false
      await this.unlink(row.id, person)
      return true
    },
  }
}

export type Accounts = ReturnType<typeof createAccounts>
