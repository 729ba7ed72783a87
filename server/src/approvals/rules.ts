import type { ApprovalRule, Risk } from '@keyward/contract'
import type { ApprovalQuestion } from '../workflow/index.ts'

/** What each risk asks for until an owner says otherwise. */
export const defaultRules: Readonly<Record<Risk, ApprovalRule>> = {
  low: rule('low', 1, false),
  medium: rule('medium', 1, false),
  high: rule('high', 1, true),
  critical: rule('critical', 2, true),
}

function rule(risk: Risk, quorum: number, secondFactor: boolean): ApprovalRule {
  return {
    risk,
    quorum,
    groups: [],
    secondFactor,
    expiresInSeconds: 7 * 24 * 3600,
    remindAtPercent: 50,
    escalateAtPercent: null,
    escalateTo: [],
  }
}

/** How one question is asked: the rule of its risk and the wishes of its plan, whichever is stricter. */
export type Terms = {
  readonly quorum: number
  readonly groups: readonly string[]
  readonly needsSecondFactor: boolean
  readonly escalateTo: readonly string[]
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly remindAt: number | null
  readonly escalateAt: number | null
}

export function termsOf(own: ApprovalRule, plan: ApprovalQuestion['rules'], now: number): Terms {
  const spanMs = Math.min(own.expiresInSeconds, plan.expiresInSeconds) * 1000
  const after = (percent: number | null): number | null =>
    percent === null ? null : now + Math.floor((spanMs * percent) / 100)
  return {
    quorum: Math.max(own.quorum, plan.quorum ?? 1),
    groups: narrowest(own.groups, plan.groups ?? []),
    needsSecondFactor: own.secondFactor || (plan.secondFactor ?? false),
    escalateTo: own.escalateTo,
    expiresAt: now + spanMs,
    remindAt: after(own.remindAtPercent),
    escalateAt: own.escalateTo.length === 0 ? null : after(own.escalateAtPercent),
  }
}

/** The groups of the plan as far as the rule lets them; those of the rule when the plan names none of these. */
function narrowest(own: readonly string[], plan: readonly string[]): readonly string[] {
  if (own.length === 0) return plan
  const both = plan.filter((group) => own.includes(group))
  return both.length > 0 ? both : own
}
