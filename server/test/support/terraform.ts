// Terraform, or OpenTofu, and an HTTP backend that keeps the state, behind the egress proxy.
import type { TestContext } from 'node:test'
import { findProgram } from '../../src/sandbox/index.ts'
import { apiHost, openUpstream } from './egress.ts'
import { goProgramOrSkip } from './go.ts'

/** As arguments for `goProgram`. */
export const tofuProgram = ['tofu', 'github.com/opentofu/opentofu/cmd/tofu'] as const

export const terraformHere = (): string | undefined =>
  ['terraform', 'tofu'].find((name) => findProgram(name) !== undefined)

/** A program of this machine; where there is none, OpenTofu is built. */
export const terraformOrSkip = async (t: { skip(reason: string): void }): Promise<string | undefined> =>
  terraformHere() ?? (await goProgramOrSkip(t, ...tofuProgram))

export type StateBackend = {
  readonly route: { address: string; caPem: string }
  /** As it is now; empty before the first one. */
  state(): string
  /** Requests that brought another password. */
  refused(): number
  locks: number
}

/** https://developer.hashicorp.com/terraform/language/backend/http */
export async function openStateBackend(t: TestContext, password: string): Promise<StateBackend> {
  let kept = ''
  let refused = 0
  const wanted = `Basic ${Buffer.from(`keyward:${password}`).toString('base64')}`
  const backend: StateBackend = {
    route: await openUpstream(t, async (request, response) => {
      if (request.headers.authorization !== wanted) {
        refused++
        response.writeHead(401).end()
        return
      }
      const parts: Buffer[] = []
      for await (const part of request) parts.push(part as Buffer)
      const body = Buffer.concat(parts).toString('utf8')
      if (request.url?.startsWith('/lock')) {
        backend.locks += request.method === 'PUT' ? 1 : 0
        response.end()
      } else if (request.method === 'GET') response.writeHead(kept === '' ? 404 : 200).end(kept)
      else {
        kept = body
        response.end()
      }
    }),
    state: () => kept,
    refused: () => refused,
    locks: 0,
  }
  return backend
}

export const backendBlock = `terraform {
  backend "http" {
    address        = "https://${apiHost}/state"
    lock_address   = "https://${apiHost}/lock"
    unlock_address = "https://${apiHost}/lock"
    lock_method    = "PUT"
    unlock_method  = "DELETE"
  }
}
`
