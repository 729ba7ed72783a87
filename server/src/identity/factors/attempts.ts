export type AttemptKind = 'totp' | 'key' | 'recovery'
type Outcome = 'confirmed' | 'refused' | 'limited'
export type AttemptCount = { readonly kind: AttemptKind; readonly outcome: Outcome; readonly count: number }

const kinds: readonly AttemptKind[] = ['totp', 'key', 'recovery']
const outcomes: readonly Outcome[] = ['confirmed', 'refused', 'limited']

/** How often factors were shown, for whoever watches the server; all begin at 0, so that a first increase can be seen. */
export function createAttempts() {
  const counts = new Map(
    kinds.flatMap((kind) => outcomes.map((outcome) => [`${kind} ${outcome}`, { kind, outcome, count: 0 }])),
  )
  return {
    count(kind: AttemptKind, outcome: Outcome): void {
      const one = counts.get(`${kind} ${outcome}`)
      if (one) one.count += 1
    },
    counts: (): readonly AttemptCount[] => [...counts.values()],
  }
}
