import type { Verdict } from '../judge.ts'

/** Ends a relayed connection with words for the client and the record; `told` when the client has heard them already. */
export const refused = (verdict: Verdict): Error => Object.assign(new Error('refused'), { verdict })

export const verdictIn = (error: unknown): Verdict | undefined =>
  error instanceof Error && 'verdict' in error ? (error.verdict as Verdict) : undefined

export const invalid = (reason: string): Error => refused({ code: 'request.invalid', reason })
export const denied = (reason: string): Error => refused({ code: 'egress.denied', reason })
export const unreachableFor = (reason: string): Error => refused({ code: 'egress.unreachable', reason })
