import type { Secret } from '../../../core/index.ts'
import type { Body } from '../../engine.ts'

/** A server whose users Keyward makes and ends. What is asked for a second time changes nothing more. */
export type Database = {
  /** Connects and signs in; throws when it cannot. */
  check(): Promise<void>
  /** A name that nobody has yet. */
  userName(parts: NameParts): string
  /** Whether a generated password can stand in a statement without being changed. */
  accepts(password: Secret): boolean
  createUser(user: NewUser): Promise<void>
  extendUser(user: Omit<NewUser, 'password'>): Promise<void>
  setPassword(user: Omit<NewUser, 'expiresAt'>): Promise<void>
  /** As `setPassword`, for the account that it signs in with: nobody signs in with the old one once it is changed. */
  changeOwnPassword(user: Omit<NewUser, 'expiresAt'>): Promise<void>
  /** Also one that is just being made by a process that has died meanwhile. A user that is not there is no failure. */
  removeUser(user: Pick<NewUser, 'name' | 'statements'>): Promise<void>
  /** Whether this user can sign in; throws when nobody can be asked. */
  admits(user: Pick<NewUser, 'name' | 'password'>): Promise<boolean>
  /** Whether it signs in with the password that it was given apart; else that stands in the address, where nothing replaces it. */
  readonly takesPassword: boolean
  /** What new connections sign in with from now on. */
  usePassword(password: Secret): void
  /** Ends what is connected as soon as nobody uses it. Who still comes is served all the same. */
  close(): void
}

export type NameParts = { readonly displayName: string; readonly roleName: string; readonly now: Date }

type NewUser = {
  readonly name: string
  readonly password: Secret
  readonly expiresAt: Date
  /** As the role has them; none: the database's own default. */
  readonly statements: readonly string[]
}

/** How a kind of database is set up: a plugin, as Vault calls it. */
export type DatabaseKind = {
  /** What a request may say about the connection; the rest is ignored, with a warning. */
  readonly fields: readonly string[]
  /** Of these, what is never shown. */
  readonly secretFields: readonly string[]
  /** Checks the settings and connects to nothing yet. */
  open(settings: ConnectionSettings): Promise<Database>
  /** A setting as it may be shown. */
  view(field: string, value: unknown): unknown
  /** What an operator should know about settings that work. */
  warnings(details: Body): string[]
}

export type ConnectionSettings = {
  /** The same for the same connection in every process. */
  readonly id: string
  readonly details: Body
  readonly password: Secret
  readonly secrets: Readonly<Record<string, Secret>>
}
