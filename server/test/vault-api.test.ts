// docs/vault-api.md is what the vault does: every path of it is answered, or refused for the reason that it gives, and no path
// of the system is missing from it.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Secret } from '../src/core/index.ts'
import { type Caller, callerOf, openUnsealedVault, type VaultWorld } from './support/vault-server.ts'

type Row = { readonly path: string; readonly methods: readonly string[]; readonly here: string }
type Paths = Readonly<Record<string, Readonly<Record<string, unknown>>>>

const rows: readonly Row[] = [
  ...readFileSync(new URL('../../docs/vault-api.md', import.meta.url), 'utf8').matchAll(
    /^\| `(\/sys\/[^`]*)` \| ([A-Z ]+) \| (.+) \|$/gm,
  ),
].map(([, path = '', methods = '', here = '']) => ({ path, methods: methods.split(' '), here }))

const keyOf: Readonly<Record<string, string>> = { LIST: 'get', HEAD: 'get', PUT: 'post' }

async function describedBy(world: VaultWorld & { rootToken: string }): Promise<Paths> {
  const { raw } = await world.vault.handle({
    method: 'GET',
    path: 'sys/internal/specs/openapi',
    query: {},
    token: new Secret(world.rootToken),
    body: undefined,
  })
  const { paths } = JSON.parse(Buffer.from(raw?.bytes ?? []).toString('utf8')) as { paths: Paths }
  return Object.fromEntries(Object.entries(paths).filter(([path]) => path.startsWith('/sys/')))
}

/** The last place of a path may be empty: `leases/renew` and `leases/renew/<id>` are one path of the router. */
const patternOf = (path: string): RegExp =>
  new RegExp(`^${path.replace(/\/\{[^}]+\}$/, '(?:/.+)?').replace(/\{[^}]+\}/g, '.+')}$`)
const sampleOf = ({ path }: Row): string => path.replace(/:[a-z_]+/g, 'x')

test('VAULT-2: what docs/vault-api.md says is here is described, and what is refused is refused in its words', async (t) => {
  assert.ok(rows.length > 150)
  const world = await openUnsealedVault(t)
  const root = callerOf(world.vault, world.rootToken)
  const described = Object.entries(await describedBy(world))
  for (const row of rows) {
    const found = described.filter(([path]) => patternOf(path).test(sampleOf(row)))
    for (const method of row.methods) {
      const has = found.some(([, spec]) => (keyOf[method] ?? method.toLowerCase()) in spec)
      assert.equal(has, row.here === 'yes', `${method} ${row.path}`)
      if (row.here === 'yes') continue
      const { status, body } = await root(method as Parameters<Caller>[0], sampleOf(row).slice(1))
      assert.deepEqual(
        [status, body],
        [404, { errors: [`unsupported path: ${row.here}`] }],
        `${method} ${row.path}`,
      )
    }
  }
})

test('VAULT-2: every path of the system stands in docs/vault-api.md', async (t) => {
  const paths = Object.keys(await describedBy(await openUnsealedVault(t)))
  const known = rows.map(({ path }) => new RegExp(`^${path.replace(/:[a-z_]+/g, '.+')}$`))
  const missing = paths.filter((path) => !known.some((row) => row.test(path.replace(/\{[^}]+\}/g, 'x'))))
  assert.deepEqual(missing, [])
})
