import { z } from 'zod'
import { timestamp } from './operation.ts'

/** What became of showing an ended credential to whom it used to open something. */
export const proof = z.object({
  /** Whom it was shown to: `egress proxy`, or the host of a server. */
  by: z.string(),
  /** What was done, in words. */
  how: z.string(),
  /** What came back: a status and a code, never the text of a stranger. */
  answer: z.string(),
  /** `confirmed`: the server says that it is over, and nobody was asked to refuse it. `lives_on`: it cannot be ended there. */
  result: z.enum(['refused', 'confirmed', 'lives_on', 'accepted', 'unanswered']),
  /** When what lives on ends by itself; null when nobody says, and for all others. */
  livesUntil: timestamp.nullable(),
})
export type Proof = z.output<typeof proof>

/** Whether the end of a lease was shown to be one. */
export const receipt = z.object({
  /** `waiting`: nothing was tried yet. `unproved`: it was not refused, or nobody could be asked; tried again by itself. */
  state: z.enum(['waiting', 'proved', 'lives_on', 'unproved']),
  /** When it was last tried. */
  at: timestamp.nullable(),
  attempts: z.int(),
  nextTryAt: timestamp.nullable(),
  proofs: z.array(proof),
  /** SHA-256, hex, over lease, end, time and proofs, as the audit log has it. */
  digest: z.string().nullable(),
})
export type Receipt = z.output<typeof receipt>
