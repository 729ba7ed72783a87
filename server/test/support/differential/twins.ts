import { request } from 'node:http'
import type { TestContext } from 'node:test'
import { openBaoServer } from '../openbao-server.ts'
import { openUnsealedVault, serveVault } from '../vault-server.ts'

export type Sent = {
  readonly method: string
  /** Below `/v1/`, as it goes on the wire. */
  readonly path: string
  readonly token: string | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly text: string | undefined
}
export type Heard = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}
export type Twin = { readonly token: string; send(sent: Sent): Promise<Heard> }
export type Twins = { readonly theirs: Twin; readonly ours: Twin }

/** A real OpenBao server and Keyward, both new and both open. */
export async function openTwins(t: TestContext, bao: string): Promise<Twins> {
  const [theirs, ours] = await Promise.all([openBaoServer(t, bao), openKeyward(t)])
  return { theirs: twin(theirs), ours: twin(ours) }
}

async function openKeyward(t: TestContext): Promise<{ url: string; token: string }> {
  const { vault, rootToken } = await openUnsealedVault(t)
  const { url } = await serveVault(t, vault)
  return { url, token: rootToken }
}

/** Node's own client, because `fetch` tidies the path before it sends it. */
function twin({ url, token }: { url: string; token: string }): Twin {
  const { hostname, port } = new URL(url)
  return {
    token,
    send: (sent) =>
      new Promise((resolve, reject) => {
        const headers = {
          ...(sent.token === undefined ? {} : { 'X-Vault-Token': sent.token }),
          ...(sent.text === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(sent.text)) }),
          ...sent.headers,
        }
        const asked = request(
          { hostname, port, method: sent.method, path: `/v1/${sent.path}`, headers },
          (answer) => {
            const pieces: Buffer[] = []
            answer.on('data', (piece: Buffer) => pieces.push(piece))
            answer.on('end', () =>
              resolve({
                status: answer.statusCode ?? 0,
                headers: answer.headers as Record<string, string>,
                text: Buffer.concat(pieces).toString('utf8'),
              }),
            )
          },
        )
        asked.on('error', reject)
        asked.end(sent.text)
      }),
  }
}
