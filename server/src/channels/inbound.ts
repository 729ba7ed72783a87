import type { Approvals } from '../approvals/index.ts'
import type { Audit } from '../audit/index.ts'
import { AppError, type Clock, type Log, reasonOf } from '../core/index.ts'
import { createRefusalRecorder } from '../identity/index.ts'
import type { Store } from '../store/index.ts'
import type { Accounts } from './accounts.ts'
import { type ChatAccount, deleteNoncesBefore, insertNonce } from './accounts-store.ts'

/** What a service sends, before anything of it is believed. Names of headers are in small letters. */
export type Inbound = {
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>
  readonly body: Buffer
}
export type Reply = { readonly status: number; readonly body: object | '' }

export type Answered = { readonly ok: boolean; readonly words: string }

type Needs = {
  store: Pick<Store, 'write'>
  audit: Pick<Audit, 'recordNow'>
  clock: Clock
  log: Log
  accounts: Pick<Accounts, 'personOf' | 'link' | 'unlinkOf'>
  approvals: Pick<Approvals, 'answer'>
}

export type ChatAnswer = {
  readonly who: ChatAccount
  readonly approvalId: string
  readonly digest: string
  readonly decision: 'approved' | 'denied'
}

/** Longer than the window in which a service's signature counts. */
const rememberedMs = 15 * 60_000

/** What chats of all kinds do with an answer once they know who gave it. */
export function createInbound({ store, audit, clock, log, accounts, approvals }: Needs) {
  const recordRefusal = createRefusalRecorder({ audit, clock, log })

  const refuse = async (kind: ChatAccount['kind'], reason: string): Promise<void> =>
    recordRefusal({
      type: 'channel.answer_refused',
      actor: `system:${kind}`,
      target: `channel:${kind}`,
      reason,
    })

  return {
    refuse,
    /** Each request counts once. Throws `channel.repeated`. */
    async assertNew(nonce: string): Promise<void> {
      const fresh = await store.write(async (tx) => {
        const now = clock.now().getTime()
        await deleteNoncesBefore(tx, now - rememberedMs)
        return insertNonce(tx, nonce, now)
      })
      if (!fresh) throw new AppError('channel.repeated', 'this request has been delivered before')
    },
    /** The words are for whoever answered. */
    async answer({ who, approvalId, digest, decision }: ChatAnswer): Promise<Answered> {
      const person = await accounts.personOf(who)
      if (!person) {
        await refuse(who.kind, `${who.account} of ${who.workspace} is linked to nobody`)
        return {
          ok: false,
          words:
            'Nobody is linked to this account, so nothing was decided. Run `keyward channels link` or open Integrations in Keyward, ' +
            'and send the code that it gives you.',
        }
      }
      try {
        const given = { decision, digest, channel: who.kind }
        const { title, state } = await approvals.answer(person, approvalId, given)
        const words = state === 'pending' ? 'counted; others have to answer, too' : state
        return { ok: true, words: `${title}: ${words}.` }
      } catch (error) {
        if (!(error instanceof AppError)) throw error
        return { ok: false, words: `Nothing was decided. ${reasonOf(error)}.` }
      }
    },
    async link(who: ChatAccount, code: string): Promise<Answered> {
      const person = await accounts.link(who, code)
      if (person) return { ok: true, words: `This account is now linked to ${person.name} in Keyward.` }
      await refuse(who.kind, `${who.account} of ${who.workspace} sent a code that is wrong, used or too old`)
      return { ok: false, words: 'The code is wrong, used or older than ten minutes. Ask for a new one.' }
    },
    async unlink(who: ChatAccount): Promise<Answered> {
      return (await accounts.unlinkOf(who))
        ? { ok: true, words: 'This account is linked to nobody any more.' }
        : { ok: false, words: 'This account was linked to nobody.' }
    },
    /** `link CODE` and `unlink`, as people write them. */
    async command(who: ChatAccount, text: string): Promise<Answered> {
      const [verb = '', code = ''] = text.trim().split(/\s+/)
      if (verb === 'link' && code !== '') return this.link(who, code)
      if (verb === 'unlink') return this.unlink(who)
      return { ok: false, words: 'Write `link CODE` with a code of `keyward channels link`, or `unlink`.' }
    },
  }
}

export type InboundNeeds = ReturnType<typeof createInbound>
