import { join } from 'node:path'
import { z } from 'zod'
import { AppError, Secret } from '../core/index.ts'
import { configFolder, type Environment } from './places.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'

/** What signing in left, by server. */
export type Credentials = {
  token(address: string): Promise<Secret | undefined>
  keep(address: string, entry: { token: Secret; name: string; expiresAt: string }): Promise<void>
  /** Returns whether there was something to forget. */
  forget(address: string): Promise<boolean>
  readonly file: string
}

const shape = z.object({
  version: z.literal(1),
  servers: z.record(
    z.string(),
    z.object({ token: z.string().min(1), name: z.string(), expiresAt: z.iso.datetime() }),
  ),
})
type Content = z.output<typeof shape>

export function createCredentials(env: Environment): Credentials {
  const file = join(configFolder(env), 'credentials.json')

  async function read(): Promise<Content> {
    const text = await readPrivateFile(file)
    if (text === undefined) return { version: 1, servers: {} }
    try {
      return shape.parse(JSON.parse(text))
    } catch {
      // The parser's own words would quote the file, which holds tokens.
      throw new AppError('request.invalid', `${file} is damaged. Remove it and run: keyward login`)
    }
  }

  const write = (content: Content): Promise<void> =>
    writePrivateFile(file, `${JSON.stringify(content, null, 2)}\n`)

  return {
    file,
    async token(address) {
      const { servers } = await read()
      const entry = servers[address]
      return entry && new Secret(entry.token)
    },
    async keep(address, { token, name, expiresAt }) {
      const { servers } = await read()
      await write({
        version: 1,
        servers: { ...servers, [address]: { token: token.reveal(), name, expiresAt } },
      })
    },
    async forget(address) {
      const { servers } = await read()
      const { [address]: entry, ...others } = servers
      if (!entry) return false
      await write({ version: 1, servers: others })
      return true
    },
  }
}
