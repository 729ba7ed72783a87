import { type Code, codes } from '@keyward/contract'

/** What ended a task without being a failure of its own: names of events, in words. */
const ends: Record<string, string> = {
  'approval.denied': 'The approval was denied',
  'approval.expired': 'Nobody answered the approval in time',
  'approval.cancelled': 'The approval was withdrawn',
  'run.cancelled': 'The run was cancelled',
  'approval.voided': 'What was approved is not what would run, so nothing ran',
}

const isCode = (text: string): text is Code => Object.hasOwn(codes, text)

/** A reason as the server writes it, `<code>: <words>`, for a person to read; the code is kept beside it. */
export function readReason(reason: string): { text: string; code: string | undefined } {
  const [, code, words = ''] = /^([a-z]+\.[a-z_]+)(?:: (.*))?$/s.exec(reason) ?? []
  if (code === undefined) return { text: reason, code: undefined }
  const known = ends[code] ?? (isCode(code) ? codes[code].message : undefined)
  if (known === undefined) return { text: reason, code: undefined }
  if (words === '') return { text: `${known}.`, code }
  return { text: /^by \S+:\S+$/.test(words) ? `${known} ${words}` : `${known}: ${words}`, code }
}
