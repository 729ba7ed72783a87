import type { Capability } from '../acl/policy-document.ts'
import type { Operation } from '../engine.ts'

/** Why a request passes or not, each with a code of its own, so that a program can tell them apart. */
export const reasonCodes = [
  'root',
  'no-token-needed',
  'any-token',
  'granted',
  'no-rule',
  'missing-capability',
  'sudo',
  'denied',
  'shadowed',
  'parameters-missing',
  'parameters-denied',
  'parameters-not-allowed',
  'wrapping-ttl',
  'ceiling',
  'kv2-request',
  'kv2-policy',
  'kv2-list',
  'list',
  'unsupported',
  'no-mount',
  'no-route',
  'near-miss',
  'policy-missing',
  'template',
  'token-address',
  'token-uses',
  'token-ends',
] as const
export type ReasonCode = (typeof reasonCodes)[number]
export type Reason = { readonly code: ReasonCode; readonly text: string }

/** A rule with the policy that it stands in. `path` is as it was written. */
export type PlacedRule = {
  readonly policy: string
  readonly line: number
  readonly path: string
  readonly capabilities: readonly Capability[]
}

export type Explanation = {
  readonly allowed: boolean
  readonly operation: Operation
  /** As the vault sees it: without `/v1/`, a list's with a `/` at its end. */
  readonly path: string
  /** What the request needs on its path; empty when it needs nothing. */
  readonly needs: readonly Capability[]
  /** Which of them are enough: all, or one, when what would be written may exist or not. */
  readonly needsMode: 'every' | 'some'
  readonly token: {
    /** As the audit log names it. */
    readonly id: string
    readonly accessor: string
    readonly displayName: string
    readonly expiresAt: Date | null
  } | null
  /** The mount that serves the path; null when there is none that the asker may see. */
  readonly mount: { readonly path: string; readonly type: string } | null
  /** The policies that were looked at. */
  readonly policies: readonly { readonly name: string; readonly exists: boolean; readonly rules: number }[]
  /** The rule that decided, once for each policy that has it. */
  readonly deciding: readonly PlacedRule[]
  /** The first says it all in short; the others help. */
  readonly reasons: readonly Reason[]
  /** A stanza that allows the request and takes nothing away; null when no policy could. */
  readonly remedy: string | null
}
