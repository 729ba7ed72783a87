import type { PersonView } from '@keyward/contract'

export type Role = PersonView['roles'][number]

/** What each role allows, in the words of the page. */
export const roles: readonly (readonly [role: Role, about: string])[] = [
  ['owner', 'Everything that no policy forbids'],
  ['approver', 'Answers approvals, and looks at everything'],
  ['operator', 'Starts work and looks after agents'],
  ['auditor', 'Looks at everything, changes nothing'],
]

/** `release, on-call` → `['release', 'on-call']`. */
export const groupsIn = (text: string): string[] => [
  ...new Set(
    text
      .split(/[\s,]+/)
      .map((name) => name.trim().toLowerCase())
      .filter(Boolean),
  ),
]

export const groupPattern = /^[a-z0-9][a-z0-9-]{0,62}$/
export const namePattern = /^[a-z0-9][a-z0-9._@-]{0,99}$/
