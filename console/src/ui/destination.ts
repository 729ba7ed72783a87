import type { Destination } from '@keyward/contract'

/** Where a lent secret may go, in one line: `GET/POST api.example.com/v1/`. */
export function destinationText({ host, port, methods, pathPrefix, pathPattern, tls }: Destination): string {
  const verbs = methods ? `${methods.join('/')} ` : ''
  return `${verbs}${host}${port === 443 ? '' : `:${port}`}${[pathPrefix, pathPattern].filter((path) => path !== undefined).join(' and ')}${tls ? ' (not looked into)' : ''}`
}
