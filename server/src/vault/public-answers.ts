import type { Audit } from '../audit/index.ts'
import { AppError, type Clock, reasonOf } from '../core/index.ts'
import { createAnonymousLog } from './anonymous-log.ts'
import type { OpenCall } from './engine.ts'
import { renderAnswer } from './render.ts'
import type { VaultResponse } from './request-context.ts'
import type { Match } from './router.ts'

type Needs = { audit: Pick<Audit, 'recordNow'>; clock: Pick<Clock, 'now'> }

/**
 * Answers what is for anybody: certificates and revocation lists, which other programs fetch without a token. At most so many
 * are recorded a minute, because they cost their reader nothing and the disk something; how many more there were is recorded too.
 */
export function createPublicAnswers({
  audit,
  clock,
}: Needs): (requestId: string, matched: Match, call: OpenCall) => Promise<VaultResponse> {
  const record = createAnonymousLog({ audit, clock }, 'alsoAnswered')

  return async (requestId, { spec }, call) => {
    const entry = {
      type: 'vault.request',
      actor: 'anonymous:',
      target: `path:${call.path}`,
      correlation: requestId,
    } as const
    try {
      const answer = await spec.anybody?.answer(call)
      const outcome = answer && (answer.status ?? 200) < 400 ? 'done' : 'failed'
      await record({ ...entry, outcome, detail: { operation: call.operation } })
      return renderAnswer(answer, requestId)
    } catch (error) {
      const reason = error instanceof AppError ? reasonOf(error) : 'internal error'
      await record({ ...entry, outcome: 'failed', detail: { operation: call.operation, reason } })
      throw error
    }
  }
}
