import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { Tx } from '../../../store/index.ts'
import type { Barrier } from '../../barrier/barrier.ts'
import type { Answer, Call, Engine, PathSpec, WriteHandler } from '../../engine.ts'
import { booleanField, countField, textField } from '../../fields.ts'
import type { EngineMaker } from '../../mounts.ts'
import { defaultTtlSeconds } from '../../tokens/lifetime.ts'
import { invalid } from '../record-fields.ts'
import { type Application, assertKey, signKey } from './issue.ts'
import { newKey, parsePrivateKey, printPrivateKey } from './private-key.ts'
import { parsePublicKey, printPublicKey, publicBlob } from './public-key.ts'
import { type Role, roleFrom } from './role.ts'

type Authority = { readonly key: KeyObject; readonly publicKey: string }
type Limits = Application['limits']

/** Certificates for SSH: hosts and people trust one authority instead of lists of keys. */
export function createSsh(barrier: Barrier): EngineMaker {
  return ({ id }, config): Engine => {
    const root = `ssh/${id}/`
    const limits = (): Limits => {
      const { defaultTtlSeconds: usual, maxTtlSeconds: most } = config()
      const maxSeconds = most || defaultTtlSeconds
      return { defaultSeconds: Math.min(usual || defaultTtlSeconds, maxSeconds), maxSeconds }
    }
    return {
      type: 'ssh',
      paths: [
        ...authorityPaths(barrier, root),
        ...rolePaths(barrier, `${root}roles/`),
        ...signingPaths(barrier, root, limits),
      ],
      wipe: (tx) => barrier.deleteFolder(tx, root),
    }
  }
}

const authorityOf = (barrier: Barrier, root: string): Promise<Authority | undefined> =>
  barrier.view(`${root}ca`, (bytes) => {
    const key = createPrivateKey(bytes.toString('utf8'))
    return { key, publicKey: printPublicKey(publicBlob(key)) }
  })

async function requireAuthority(barrier: Barrier, root: string): Promise<Authority> {
  const authority = await authorityOf(barrier, root)
  if (!authority) throw invalid("keys haven't been configured yet")
  return authority
}

function authorityPaths(barrier: Barrier, root: string): PathSpec[] {
  return [
    {
      pattern: 'config/ca',
      events: { update: 'key.created', delete: 'key.deleted' },
      read: async () => ({ data: { public_key: (await requireAuthority(barrier, root)).publicKey } }),
      post: (call) => configure(barrier, root, call),
      async delete(tx) {
        await barrier.delete(tx, `${root}ca`)
        return {}
      },
    },
    {
      pattern: 'public_key',
      anybody: {
        operations: ['read'],
        async answer() {
          const { publicKey } = await requireAuthority(barrier, root)
          return { raw: { contentType: 'text/plain', bytes: Buffer.from(publicKey) } }
        },
      },
    },
  ]
}

/** A key that is there is never replaced by accident: hosts trust it. */
async function configure(barrier: Barrier, root: string, { body }: Call): Promise<WriteHandler> {
  const [secret, open] = [textField(body, 'private_key') ?? '', textField(body, 'public_key') ?? '']
  const generate = booleanField(body, 'generate_signing_key') ?? (secret === '' && open === '')
  if (generate && (secret !== '' || open !== ''))
    throw invalid('public_key and private_key must not be set when generate_signing_key is set to true')
  if (!generate && secret === '') throw invalid('missing private_key')
  const key = generate
    ? await newKey(textField(body, 'key_type') || 'ssh-rsa', countField(body, 'key_bits') ?? 0)
    : parsePrivateKey(secret)
  const blob = publicBlob(key)
  if (open !== '' && !parsePublicKey(open).blob.equals(blob))
    throw invalid('the public_key does not belong to the private_key')
  return async (tx): Promise<Answer> => {
    if (await barrier.get(`${root}ca`, tx))
      throw invalid('keys are already configured; delete them before reconfiguring')
    await barrier.put(tx, `${root}ca`, key.export({ type: 'pkcs8', format: 'pem' }).toString())
    return {
      ...(generate ? { data: { public_key: printPublicKey(blob) } } : {}),
      note: { generated: generate, type: key.asymmetricKeyType ?? '' },
    }
  }
}

const parseRole = (bytes: Buffer): Role => JSON.parse(bytes.toString('utf8')) as Role

function rolePaths(barrier: Barrier, folder: string): PathSpec[] {
  const nameOf = ({ params }: Pick<Call, 'params'>): string => params['role'] ?? ''
  return [
    {
      pattern: 'roles',
      async list() {
        const names = await barrier.list(folder)
        if (names.length === 0) return undefined
        const info = Object.fromEntries(names.map((name) => [name, { key_type: 'ca' }]))
        return { data: { keys: names, key_info: info }, note: { count: names.length } }
      },
    },
    {
      pattern: 'roles/{role}',
      async read(call) {
        const role = await barrier.view(folder + nameOf(call), parseRole)
        return role && { data: role }
      },
      update: (tx, call) => writeRole(barrier, folder, tx, call),
      async delete(tx, call) {
        await barrier.delete(tx, folder + nameOf(call))
        return {}
      },
    },
  ]
}

async function writeRole(barrier: Barrier, folder: string, tx: Tx, { params, body }: Call): Promise<Answer> {
  const name = params['role'] ?? ''
  if (!/^\w(?:[\w.@-]*\w)?$/.test(name)) throw invalid(`"${name}" cannot be the name of a role`)
  await barrier.put(tx, folder + name, JSON.stringify(roleFrom(body)))
  return { note: { role: name } }
}

function signingPaths(barrier: Barrier, root: string, limits: () => Limits): PathSpec[] {
  async function begin({ params, body, token, now }: Call): Promise<[Application, Authority]> {
    const roleName = params['role'] ?? ''
    const role = await barrier.view(`${root}roles/${roleName}`, parseRole)
    if (!role) throw invalid(`Unknown role: ${roleName}`)
    const authority = await requireAuthority(barrier, root)
    return [{ role, roleName, body, displayName: token.record.displayName, limits: limits(), now }, authority]
  }

  return [
    {
      pattern: 'sign/{role}',
      async post(call) {
        const written = textField(call.body, 'public_key') ?? ''
        const [application, authority] = await begin(call)
        if (written === '') throw invalid('missing public_key')
        const key = parsePublicKey(written)
        assertKey(application.role, key)
        return signKey(application, key, authority.key)
      },
    },
    {
      pattern: 'issue/{role}',
      async post(call) {
        const [application, authority] = await begin(call)
        const type = textField(call.body, 'key_type') || 'rsa'
        if (!['rsa', 'ec', 'ed25519'].includes(type)) throw invalid(`unknown ssh key pair algorithm: ${type}`)
        const made = await newKey(type, countField(call.body, 'key_bits') ?? 0)
        const key = parsePublicKey(printPublicKey(publicBlob(made)))
        assertKey(application.role, key)
        const { data, note } = await signKey(application, key, authority.key)
        return {
          data: { ...data, private_key: printPrivateKey(made), private_key_type: type },
          note,
        }
      },
    },
  ]
}
