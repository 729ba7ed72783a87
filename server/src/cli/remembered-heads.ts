import { join } from 'node:path'
import type { AuditHead } from '@keyward/contract'
import { z } from 'zod'
import { AppError } from '../core/index.ts'
import { configFolder, type Environment } from './places.ts'
import { readPrivateFile, writePrivateFile } from './private-file.ts'

/**
 * The last head that verified, by server: outside the server's reach, so that a chain cut or written anew by its own
 * keeper does not pass the next time.
 */
export type RememberedHeads = {
  get(address: string): Promise<RememberedHead | undefined>
  keep(address: string, head: AuditHead): Promise<void>
  forget(address: string): Promise<void>
}

const remembered = z.object({ seq: z.int(), hash: z.string(), publicKey: z.string() })
type RememberedHead = z.output<typeof remembered>
const shape = z.record(z.string(), remembered)

export function createRememberedHeads(env: Environment): RememberedHeads {
  const file = join(configFolder(env), 'audit-heads.json')

  async function read(): Promise<Record<string, RememberedHead>> {
    const text = await readPrivateFile(file)
    if (text === undefined) return {}
    try {
      return shape.parse(JSON.parse(text))
    } catch (error) {
      const detail = `${file} is damaged. Look at it, then remove it: the next verification remembers anew`
      throw new AppError('request.invalid', detail, { cause: error })
    }
  }

  const write = (heads: Record<string, RememberedHead>): Promise<void> =>
    writePrivateFile(file, `${JSON.stringify(heads, null, 2)}\n`)

  return {
    get: async (address) => (await read())[address],
    async keep(address, { seq, hash, publicKey }) {
      await write({ ...(await read()), [address]: { seq, hash, publicKey } })
    },
    async forget(address) {
      const { [address]: _, ...others } = await read()
      await write(others)
    },
  }
}
