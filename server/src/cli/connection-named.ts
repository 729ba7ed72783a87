import { api, type ConnectionView } from '@keyward/contract'
import { AppError } from '../core/index.ts'
import type { Client } from './client.ts'

/** By its name or its id. Throws `connection.not_found`. */
export async function connectionNamed(client: Client, name: string): Promise<ConnectionView> {
  const { items } = await client.call(api.connections.list, {})
  const found = items.find((item) => item.name === name) ?? items.find((item) => item.id === name)
  if (!found) throw new AppError('connection.not_found', `there is no connection '${name}'`)
  return found
}
