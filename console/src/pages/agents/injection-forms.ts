import type { Injection } from '@keyward/contract'

export type InjectionKind = Injection['kind']
type InjectionField = {
  readonly name: string
  readonly label: string
  readonly hint?: string
  readonly isOptional?: true
  /** One text, several with commas between, several with a line each, or a number. */
  readonly as?: 'list' | 'lines' | 'number'
}

/** Every way in which a secret can become part of a request, in words. */
export const injectionKinds: readonly (readonly [InjectionKind, string])[] = [
  ['bearer', 'a bearer token'],
  ['basic', 'the user name or password of Basic credentials'],
  ['header', 'a header'],
  ['query', 'a query parameter'],
  ['cookie', 'a cookie'],
  ['body', 'a field of the body'],
  ['anywhere', 'any place of a request'],
  ['aws', 'a signature for AWS'],
  ['client-certificate', 'a client certificate, by its private key'],
  ['oauth-client', 'an OAuth token, bought with a client secret'],
  ['oauth-refresh', 'an OAuth token, bought with a refresh token'],
  ['google-service-account', 'a token of a Google service account'],
  ['github-app', 'a token of a GitHub App'],
  ['postgres', 'a login of PostgreSQL'],
  ['redis', 'a login of Redis'],
  ['ssh', 'an SSH key'],
]

const name: InjectionField = { name: 'name', label: 'Its name' }
const authorization: readonly InjectionField[] = [
  { name: 'tokenUrl', label: 'Where tokens are asked for', hint: 'https://…/token' },
  { name: 'clientId', label: 'Client id' },
  { name: 'scope', label: 'Scope', isOptional: true },
  {
    name: 'revokeUrl',
    label: 'Where tokens are revoked',
    hint: 'Without it a token outlives its lease.',
    isOptional: true,
  },
  {
    name: 'probeUrl',
    label: 'Answers 401 without a valid token',
    hint: 'Shows that a revoked token is refused.',
    isOptional: true,
  },
]

export const injectionFields: Readonly<Record<InjectionKind, readonly InjectionField[]>> = {
  bearer: [],
  anywhere: [],
  basic: [{ name: 'part', label: 'Which part', hint: 'username or password' }],
  header: [name],
  query: [name],
  cookie: [name],
  body: [{ name: 'pointer', label: 'Where in the body', hint: 'A JSON pointer such as /auth/key' }],
  aws: [
    { name: 'regions', label: 'Only these regions', as: 'list', isOptional: true },
    { name: 'services', label: 'Only these services', as: 'list', isOptional: true },
  ],
  'client-certificate': [
    {
      name: 'certificateField',
      label: 'Field that has the certificate',
      hint: 'certificate, unless said otherwise',
      isOptional: true,
    },
  ],
  'oauth-client': authorization,
  'oauth-refresh': authorization,
  'google-service-account': [{ name: 'scopes', label: 'Scopes', as: 'list' }],
  'github-app': [
    { name: 'appId', label: 'App id' },
    { name: 'installationId', label: 'Installation id', as: 'number' },
    { name: 'repositories', label: 'Only these repositories', as: 'list', isOptional: true },
  ],
  postgres: [{ name: 'databases', label: 'Databases', as: 'list' }],
  redis: [{ name: 'usernameField', label: 'Field that has the user name', isOptional: true }],
  ssh: [
    { name: 'users', label: 'Users', as: 'list' },
    { name: 'hostKeys', label: 'Host keys', hint: 'One a line: ssh-ed25519 AAAA…', as: 'lines' },
  ],
}

const parts = (text: string, between: RegExp): string[] =>
  text
    .split(between)
    .map((part) => part.trim())
    .filter((part) => part !== '')

function readField({ as }: InjectionField, text: string): string | number | string[] {
  if (as === 'number') return Number(text)
  if (as === undefined) return text.trim()
  return parts(text, as === 'list' ? /[,\s]+/ : /\n/)
}

/** What was written, as the API takes it. The server checks it and says what is wrong. */
export function injectionOf(kind: InjectionKind, written: Readonly<Record<string, string>>): Injection {
  const values = injectionFields[kind].flatMap((field) => {
    const text = written[field.name] ?? ''
    return text.trim() === '' ? [] : [[field.name, readField(field, text)] as const]
  })
  // The shape is the contract's; the server refuses what does not fit it.
  return { kind, ...Object.fromEntries(values) } as unknown as Injection
}

/** The first field that has to be filled and is not. */
export const missingField = (
  kind: InjectionKind,
  written: Readonly<Record<string, string>>,
): string | undefined =>
  injectionFields[kind].find(({ name: key, isOptional }) => !isOptional && (written[key] ?? '').trim() === '')
    ?.label
