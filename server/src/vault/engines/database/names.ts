import { AppError } from '../../../core/index.ts'
import type { Answer, Call } from '../../engine.ts'

const shape = /^\w(?:[\w.-]*\w)?$/

export const nameOf = ({ params }: Pick<Call, 'params'>): string => params['name'] ?? ''

/** The name of something that is to be made. */
export function checkedName(call: Pick<Call, 'params'>): string {
  const name = nameOf(call)
  if (!shape.test(name) || name.length > 128)
    throw new AppError(
      'request.invalid',
      `"${name}" cannot be a name here: letters, digits, "_", and "-" and "." within`,
    )
  return name
}

export const listedNames = (names: readonly string[]): Answer | undefined =>
  names.length === 0 ? undefined : { data: { keys: names }, note: { count: names.length } }

/** Whether a connection serves a role: by name, or by a glob with `*` at either end. */
export function isAllowed(allowed: readonly string[], role: string): boolean {
  return allowed.some((glob) => {
    const middle = glob.replace(/^\*/, '').replace(/\*$/, '')
    const open = { start: glob.startsWith('*'), end: glob.length > 1 && glob.endsWith('*') }
    if (glob === '*') return true
    if (open.start && open.end) return role.includes(middle)
    if (open.start) return role.endsWith(middle)
    return open.end ? role.startsWith(middle) : role === glob
  })
}
