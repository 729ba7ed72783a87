import { AppError, Secret } from '../../../core/index.ts'
import type { Reader, Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Answer, Body, Call, Engine, OpenCall, RenewalTerms, WriteHandler } from '../../engine.ts'
import { listed } from '../../engines/kv2.ts'
import { textField } from '../../fields.ts'
import type { EngineMaker } from '../../mounts.ts'
import { foldingCase } from '../../spelling.ts'
import type { TokenRecord } from '../../tokens/token-record.ts'
import type { Lockouts } from '../lockouts.ts'
import { assertAddress, type SignInNeeds, signIn } from '../login.ts'
import { hashOfNobody, hashPassword, isPassword, type PasswordHash } from '../password.ts'
import { plainTerms, type TokenTerms, termsFrom, termsView } from '../token-terms.ts'

type User = { readonly password: PasswordHash; readonly terms: TokenTerms }
type Needs = SignInNeeds & { barrier: Barrier; lockouts: Lockouts }

const longestName = 128

/** Users with a password. */
export function createUserpass({ barrier, tokens, identity, lockouts }: Needs): EngineMaker {
  return ({ id, path: mountPath, accessor }, config): Engine => {
    const folder = `auth/${id}/user/`
    const placeOf = (name: string): string => folder + name
    const nobody = hashOfNobody()

    async function read(name: string, reader?: Reader): Promise<User | undefined> {
      const bytes = await barrier.get(placeOf(name), reader)
      return bytes && (JSON.parse(bytes.toString('utf8')) as User)
    }
    async function existing(name: string, reader: Reader): Promise<User> {
      const user = await read(name, reader)
      if (!user) throw new AppError('request.invalid', 'username does not exist')
      return user
    }
    const save = (tx: Tx, name: string, user: User): Promise<void> =>
      barrier.put(tx, placeOf(name), JSON.stringify(user))

    /** Hashes first, because that takes long, and then stores. */
    async function write(call: Call): Promise<WriteHandler> {
      const name = nameOf(call)
      const given = await hashed(call.body)
      return async (tx) => {
        const before = await read(name, tx)
        const password = given ?? before?.password
        if (!password) throw new AppError('request.invalid', 'missing password')
        await save(tx, name, { password, terms: termsFrom(call.body, before?.terms ?? plainTerms) })
        return { note: { passwordChanged: given !== undefined } }
      }
    }

    async function changePassword(call: Call): Promise<WriteHandler> {
      const name = nameOf(call)
      const password = await hashed(call.body)
      if (!password) throw new AppError('request.invalid', 'missing password')
      return async (tx) => {
        await save(tx, name, { ...(await existing(name, tx)), password })
        return { note: { passwordChanged: true } }
      }
    }

    async function login(call: OpenCall): Promise<(tx: Tx) => Promise<Answer>> {
      const name = nameOf(call)
      const password = textField(call.body, 'password')
      if (!password) throw new AppError('request.invalid', 'missing password')
      const checked = await lockouts.attempt(
        { mountAccessor: accessor, name },
        config().lockout,
        async () => {
          const user = await read(name)
          const right = await isPassword(user?.password ?? nobody, new Secret(password))
          return right ? user : undefined
        },
      )
      if (!checked) throw new AppError('request.invalid', 'invalid username or password')
      assertAddress(checked.terms, call)
      return async (tx) => {
        const user = await read(name, tx)
        // Changed while the password was being checked.
        if (user?.password.hash !== checked.password.hash)
          throw new AppError('request.invalid', 'invalid username or password')
        assertAddress(user.terms, call)
        const displayName = `${mountPath.slice('auth/'.length, -1).replaceAll('/', '-')}-${name}`
        const metadata = { username: name }
        const mount = { id, accessor, config }
        const arrived = { name, aliasName: name, displayName, metadata, terms: user.terms }
        return signIn(tx, { tokens, identity }, mount, arrived, call)
      }
    }

    async function renewal(tx: Tx, { issuer, policies }: TokenRecord): Promise<RenewalTerms> {
      const user = await existing(issuer?.name ?? '', tx)
      const { terms } = user
      const now = new Set(terms.noDefaultPolicy ? terms.policies : ['default', ...terms.policies])
      if (now.size !== policies.length || !policies.every((name) => now.has(name)))
        throw new AppError('request.invalid', 'policies have changed, not renewing')
      const { ttlSeconds, maxTtlSeconds, periodSeconds } = terms
      return { ttlSeconds, maxTtlSeconds, periodSeconds }
    }

    const paths = foldingCase([
      { pattern: 'users', list: async () => listed(await barrier.list(folder)) },
      {
        pattern: 'users/{name}',
        exists: async (call, reader) => (await read(nameOf(call), reader)) !== undefined,
        async read(call) {
          const user = await read(nameOf(call))
          return user && { data: termsView(user.terms) }
        },
        post: write,
        async delete(tx, call) {
          await barrier.delete(tx, placeOf(nameOf(call)))
          return {}
        },
      },
      { pattern: 'users/{name}/password', post: changePassword },
      {
        pattern: 'users/{name}/policies',
        async update(tx, call) {
          const name = nameOf(call)
          const user = await existing(name, tx)
          const { policies, olderNames = [] } = termsFrom(call.body, user.terms)
          await save(tx, name, { ...user, terms: { ...user.terms, policies, olderNames } })
          return {}
        },
      },
      { pattern: 'login/{name}', events: { update: 'token.created' }, open: login },
    ])
    return { type: 'userpass', paths, wipe: (tx) => barrier.deleteFolder(tx, `auth/${id}/`), renewal }
  }
}

async function hashed(body: Body): Promise<PasswordHash | undefined> {
  if (textField(body, 'password_hash'))
    throw new AppError(
      'request.invalid',
      'password_hash is not supported by this server: it keeps passwords as argon2id, and bcrypt cannot be turned into that; send the password',
    )
  const password = textField(body, 'password')
  return password ? hashPassword(new Secret(password)) : undefined
}

/** Users' names are the same in upper and lower case. */
function nameOf({ params }: OpenCall): string {
  const name = (params['name'] ?? '').toLowerCase()
  if (name === '' || name.length > longestName || /[\p{Cc}\s]/u.test(name))
    throw new AppError('request.invalid', `a username has 1 to ${longestName} characters without spaces`)
  return name
}
