export const inlineIgnore = 'keyward:ignore'

const comment = /^(?:\[([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*)\])?(?:\s+until=(\S+))?/
const day = /^\d{4}-\d{2}-\d{2}$/

/**
 * Whether a comment hides what `rule` found: `keyward:ignore`, with the rules that are meant and the last day on which it
 * holds if they are given, as in `keyward:ignore[assigned-token] until=2027-01-31 key of the sandbox`. `text` is what
 * follows the mark. A day that is none hides nothing, so that a slip of the pen is seen.
 */
export function hides(text: string, rule: string, today: string): boolean {
  const [, rules, until] = comment.exec(text) ?? []
  if (rules !== undefined && !rules.split(/\s*,\s*/).includes(rule)) return false
  return until === undefined || (day.test(until) && until >= today)
}
