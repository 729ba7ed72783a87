import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Secret } from '../../src/core/index.ts'
import { cleanUp } from './clean-up.ts'
import { type Caller, callerOf, openUnsealedVault, type VaultWorld } from './vault-server.ts'
import { createTestClock } from './world.ts'

export type Fields = Record<string, unknown>

/** Calls below one mount: what succeeds gives its data, what is refused its status and first error. */
export type MountCaller = {
  call: Caller
  ok(path: string, body?: Fields): Promise<Fields>
  read(path: string): Promise<Fields>
  refused(path: string, body: Fields | undefined, error: string | RegExp, status?: number): Promise<void>
}

export function mountCaller(call: Caller, mount: string): MountCaller {
  const dataOf = (path: string, { status, body }: Awaited<ReturnType<Caller>>): Fields => {
    assert.ok(status < 300, `${path}: ${status} ${JSON.stringify(body)}`)
    return (body['data'] ?? {}) as Fields
  }
  return {
    call,
    ok: async (path, body) => dataOf(path, await call('POST', `${mount}/${path}`, body ?? {})),
    read: async (path) => dataOf(path, await call('GET', `${mount}/${path}`)),
    async refused(path, body, error, status = 400) {
      const reply = await call(body ? 'POST' : 'GET', `${mount}/${path}`, body)
      const [first = ''] = (reply.body['errors'] ?? []) as string[]
      assert.equal(reply.status, status, `${path}: ${JSON.stringify(reply.body)}`)
      if (typeof error === 'string') assert.equal(first, error)
      else assert.match(first, error)
    },
  }
}

export type MountWorld = VaultWorld & MountCaller & { rootToken: string; anybody: Caller; files: Files }

/** An open vault with one mount at the path of its type. */
export async function openMount(
  t: TestContext,
  type: string,
  options: Parameters<typeof openUnsealedVault>[1] = {},
): Promise<MountWorld> {
  // The time is today's, because programs of the machine judge the certificates too.
  const world = await openUnsealedVault(t, { clock: createTestClock(new Date()), ...options })
  const call = callerOf(world.vault, world.rootToken)
  const enabled = await call('POST', `sys/mounts/${type}`, { type })
  assert.equal(enabled.status, 204, JSON.stringify(enabled.body))
  return { ...world, ...mountCaller(call, type), anybody: callerOf(world.vault), files: filesOf(t) }
}

/** Texts as files of a folder that goes with the test. */
export type Files = { write(name: string, content: string | Uint8Array): string; path(name: string): string }

function filesOf(t: TestContext): Files {
  const folder = mkdtempSync(join(tmpdir(), 'keyward-certificates-'))
  cleanUp(t, () => rmSync(folder, { recursive: true, force: true }))
  return {
    path: (name) => join(folder, name),
    write(name, content) {
      const path = join(folder, name)
      writeFileSync(path, content, { mode: 0o600 })
      return path
    },
  }
}

/** What another implementation says about it. */
export function openssl(...args: string[]): string {
  return execFileSync('openssl', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

export const text = (data: Fields, name: string): string => String(data[name])

/** A root that signs for a year, by default of the kind that is made fastest. */
export const makeRoot = (world: MountCaller, more: Fields = {}): Promise<Fields> =>
  world.ok('root/generate/internal', { common_name: 'Test Root', ttl: '700h', key_type: 'ec', ...more })

/** An answer that is no JSON, to somebody without a token. */
export async function rawOf(
  { vault }: Pick<VaultWorld, 'vault'>,
  path: string,
  body?: Fields,
): Promise<{ status: number; contentType: string | undefined; bytes: Buffer }> {
  const { status, raw } = await vault.handle({
    method: body ? 'POST' : 'GET',
    path,
    query: {},
    token: undefined,
    body: body && new Secret(JSON.stringify(body)),
  })
  return { status, contentType: raw?.contentType, bytes: Buffer.from(raw?.bytes ?? []) }
}
