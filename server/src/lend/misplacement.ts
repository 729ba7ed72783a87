import { type Injection, injectionText } from '@keyward/contract'

/** Why a placeholder may not stand where it does, after "lent"; undefined when it may. */
export function misplacement(injection: Injection, places: readonly string[]): string | undefined {
  const allowed = placesFor(injection)
  if (allowed === undefined) return undefined
  const wrong = places.find((place) => !allowed.includes(place))
  if (wrong === undefined && places.length > 0) return undefined
  return `${injectionText(injection)}; it was sent ${wrong === undefined ? 'nowhere' : `in ${wrong.slice(0, 200)}`}.`
}

/** Git sends a token as the password, and GitHub also takes `Authorization: token …`. */
const accessTokenPlaces = ['bearer', 'basic:password', 'header:authorization']

/** As the proxy writes them; undefined when every place is allowed. */
function placesFor(how: Injection): readonly string[] | undefined {
  switch (how.kind) {
    case 'anywhere':
      return undefined
    case 'bearer':
      return ['bearer']
    case 'basic':
      return [`basic:${how.part}`]
    case 'header': {
      const name = how.name.toLowerCase()
      return name === 'authorization' ? ['header:authorization', 'bearer'] : [`header:${name}`]
    }
    case 'query':
      return [`query:${how.name}`]
    case 'cookie':
      return [`cookie:${how.name}`]
    case 'body':
      return [`body:${how.pointer}`]
    case 'aws':
      return ['aws']
    case 'client-certificate':
      return ['header:keyward-lease']
    case 'postgres':
    case 'redis':
    case 'ssh':
      return [how.kind]
    case 'oauth-client':
    case 'oauth-refresh':
    case 'google-service-account':
    case 'github-app':
      return accessTokenPlaces
  }
}
